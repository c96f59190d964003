//! From an IPv4 address and a port to a CE: every rule of every domain is looked at, bit by bit (RFC 7597 sections 5, 6).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{
    Domain, Rule, Version,
    bits::{bits, number},
};

/// The rules that answer for an address: one, or a group of one-CE rules that share it, by their first ports.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    rules: Vec<(usize, Rule)>,
    pub(crate) ipv4: Ipv4Addr,
}

/// A CE, and the domain that it lives in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ce {
    pub(crate) domain: usize,
    pub(crate) address: Ipv6Addr,
    pub(crate) end_user_length: usize,
}

/// The longest match over all rules.
pub(crate) fn find(domains: &[Domain], ipv4: Ipv4Addr) -> Option<Found> {
    let numbered = domains.iter().enumerate();
    let all = numbered.flat_map(|(number, domain)| domain.rules.iter().map(move |rule| (number, rule.clone())));
    let matching: Vec<(usize, Rule)> = all.filter(|(_, rule)| rule.contains(ipv4)).collect();
    let longest = matching.iter().map(|(_, rule)| rule.ipv4_prefix.1).max()?;
    let mut rules = matching;
    rules.retain(|(_, rule)| rule.ipv4_prefix.1 == longest);
    rules.sort_by_key(|(_, rule)| u32::from(rule.psid.unwrap_or(0)) << (16 - rule.psid_length));
    Some(Found { rules, ipv4 })
}

impl Found {
    /// Whether several CEs have the address.
    pub(crate) fn is_shared(&self) -> bool {
        self.rules[0].1.psid_length > 0
    }

    /// The domain of the rule with the lowest PSID: of fragments, and of what has no owner.
    pub(crate) fn first_domain(&self) -> usize {
        self.rules[0].0
    }

    /// Whom a packet is counted for: its owner's domain.
    pub(crate) fn domain_of(&self, port: Option<u16>) -> usize {
        let owner = self.rules.iter().find(|(_, rule)| port.is_some_and(|port| rule.owns(port)));
        owner.map_or(self.first_domain(), |(domain, _)| *domain)
    }

    /// The CE that owns the port.
    pub(crate) fn ce(&self, domains: &[Domain], port: Option<u16>) -> Result<Ce, &'static str> {
        let (domain, rule, psid) = if self.is_shared() {
            let port = port.ok_or("NoPort")?;
            if self.rules[0].1.reserves(port) {
                return Err("ReservedPort");
            }
            let (domain, rule) = self.rules.iter().find(|(_, rule)| rule.owns(port)).ok_or("NoPort")?;
            (*domain, rule, rule.psid_of(port))
        } else {
            (self.rules[0].0, &self.rules[0].1, 0)
        };
        let address = rule.ce_address(domains[domain].version, self.ipv4, psid);
        Ok(Ce { domain, address, end_user_length: usize::from(rule.mape_prefix.1 + rule.ea_bits_length) })
    }
}

impl Rule {
    fn contains(&self, ipv4: Ipv4Addr) -> bool {
        let length = usize::from(self.ipv4_prefix.1);
        address_bits(ipv4)[..length] == address_bits(self.ipv4_prefix.0)[..length]
    }

    /// A = 0: nobody's, if the addresses are shared and there are offset bits at all.
    fn reserves(&self, port: u16) -> bool {
        let offset = &bits(port.into(), 16)[..self.psid_offset.into()];
        self.psid_length > 0 && !offset.is_empty() && offset.iter().all(|bit| !bit)
    }

    fn psid_of(&self, port: u16) -> u16 {
        let (a, k) = (usize::from(self.psid_offset), usize::from(self.psid_length));
        number(&bits(port.into(), 16)[a..a + k]) as u16
    }

    /// Whether a port that is not reserved is one of this rule's.
    fn owns(&self, port: u16) -> bool {
        self.psid.is_none_or(|psid| !self.reserves(port) && psid == self.psid_of(port))
    }

    fn ce_address(&self, version: Version, ipv4: Ipv4Addr, psid: u16) -> Ipv6Addr {
        let ipv4 = address_bits(ipv4);
        let (r, o) = (usize::from(self.ipv4_prefix.1), usize::from(self.ea_bits_length));
        let p = o.min(32 - r);
        let ea = [&ipv4[r..r + p], &bits(psid.into(), 16)[16 - (o - p)..]].concat();
        let prefix = &bits(self.mape_prefix.0.to_bits(), 128)[..self.mape_prefix.1.into()];
        let end_user_prefix = [prefix, &ea].concat();
        let delegated = [&ipv4[..r + p], &vec![false; 32 - r - p]].concat();
        let before = if version == Version::Rfc7597 { 16 } else { 8 };
        let mut identifier = vec![false; 64 + before];
        identifier.extend(delegated);
        identifier.extend(bits(psid.into(), 16));
        identifier.resize(128, false);
        let address = [&end_user_prefix[..], &identifier[end_user_prefix.len()..]].concat();
        Ipv6Addr::from_bits(number(&address))
    }
}

fn address_bits(ipv4: Ipv4Addr) -> Vec<bool> {
    bits(ipv4.to_bits().into(), 32)
}

/// Whether two addresses agree in their first `length` bits.
pub(crate) fn share_prefix(one: Ipv6Addr, other: Ipv6Addr, length: usize) -> bool {
    bits(one.to_bits(), 128)[..length] == bits(other.to_bits(), 128)[..length]
}
