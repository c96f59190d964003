//! All the domains that one fleet of relays serves, and which rule of them answers for a packet.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::{
    Domain, DomainConfig, Problem, Psid, Rule,
    index::{Entry, PrefixIndex},
    options::SourceCheck,
    validate,
};

/// As many rules as a fleet may hold together: a million bindings.
pub const MAX_RULES: usize = 1 << 20;

/// As many cells of 4 bytes as a fleet's lookup tables may have: what 26 bits can number, 256 MiB.
pub const MAX_LOOKUP_CELLS: u64 = 1 << 26;

/// Domains that are sound each and together. Only [`Fleet::new`] makes one, so that whatever holds a fleet may
/// rely on it: compiling it into a relay's tables cannot fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    domains: Vec<Domain>,
    /// (domain, rule in it) by position in the whole fleet: the values in both indexes.
    places: Vec<(u32, u32)>,
    ipv4: PrefixIndex,
    ipv6: PrefixIndex,
}

/// A CE, as the forward mapping finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'f> {
    /// Whose CE it is.
    pub domain: &'f Domain,
    /// The rule that matched.
    pub rule: &'f Rule,
    /// Its PSID, where the rule shares addresses.
    pub psid: Option<Psid>,
    /// Its End-user prefix.
    pub end_user_prefix: Ipv6Net,
    /// Its address.
    pub ce_address: Ipv6Addr,
}

/// What a CE was given, as the reverse mapping finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment<'f> {
    /// Whose CE it is.
    pub domain: &'f Domain,
    /// The rule that matched.
    pub rule: &'f Rule,
    /// The IPv4 address as a /32, or the prefix where the rule delegates one.
    pub ipv4: Ipv4Net,
    /// Its PSID, where the rule shares addresses.
    pub psid: Option<Psid>,
    /// Its End-user prefix.
    pub end_user_prefix: Ipv6Net,
    /// Its address.
    pub ce_address: Ipv6Addr,
    /// A longer IPv4 rule that takes this CE's traffic away.
    pub shadowed_by: Option<&'f Rule>,
}

/// Why a packet has no CE, or is not from the CE it claims. The names are those of the drop reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No rule's IPv4 prefix contains the address.
    #[error("no rule's IPv4 prefix contains the address")]
    NoRule,
    /// The address is shared, and the packet has no port or one that no rule owns.
    #[error("the address is shared and no rule owns the port")]
    NoPort,
    /// The port is one of the low ones that belong to no CE.
    #[error("the PSID offset reserves the port: it belongs to no CE")]
    ReservedPort,
    /// The outer addresses are not those that the inner source leads to.
    #[error("the inner source does not lead back to the outer source")]
    SpoofedSource,
}

/// Why a prefix is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// It lies in no rule's IPv6 prefix.
    #[error("{0} is in no rule's mapePrefix")]
    NoRule(Ipv6Net),
    /// It covers several CEs.
    #[error("{0} is shorter than an End-user prefix, /{1}: it covers several CEs")]
    TooShort(Ipv6Net, u8),
}

impl Fleet {
    /// Checks each domain, then all of them together; of two that contradict each other the older stays unblamed.
    ///
    /// # Errors
    /// Every problem found, not only the first: fields in the order of the domains' age, namespace and name.
    pub fn new(mut configs: Vec<DomainConfig>) -> Result<Self, Vec<Problem>> {
        configs.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        let domains = validate::domains(&configs)?;
        let fleet = Self::index(domains);
        let problems = validate::between(&fleet, &configs);
        if problems.is_empty() { Ok(fleet) } else { Err(problems) }
    }

    /// The domains: oldest first, then by namespace and name.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// All rules with their domains, in the order of [`Fleet::domains`].
    pub fn rules(&self) -> impl Iterator<Item = (&Domain, &Rule)> {
        self.places.iter().map(|place| self.at(*place))
    }

    /// Every CE of every rule whose prefix is the longest that contains `ipv4`: several only for one-CE rules on a /32.
    pub fn longest(&self, ipv4: Ipv4Addr) -> impl Iterator<Item = (&Domain, &Rule)> {
        let mut matches = self.ipv4.matches(ipv4_key(ipv4)).peekable();
        let longest = matches.peek().map(|entry| entry.length);
        matches.take_while(move |entry| Some(entry.length) == longest).map(|entry| self.rule_at(entry.value))
    }

    /// The CE that owns `ipv4` and `port`; `None` for a port means that the packet has none.
    ///
    /// # Errors
    /// `NoRule`, `NoPort` or `ReservedPort`.
    pub fn to_ce(&self, ipv4: Ipv4Addr, port: Option<u16>) -> Result<Target<'_>, Refusal> {
        let mut refusal = Refusal::NoRule;
        for (domain, rule) in self.longest(ipv4) {
            match psid(rule, port) {
                Ok(psid) => return Ok(target(domain, rule, ipv4, psid)),
                Err(found) => refusal = found,
            }
        }
        Err(refusal)
    }

    /// Whether a packet with this outer source, sent to this BR address if one is given, may have this inner source
    /// (RFC 7597 §8.1): if and only if the way back leads there.
    ///
    /// # Errors
    /// Any [`Refusal`].
    pub fn check_source(
        &self,
        outer_source: Ipv6Addr,
        br_address: Option<Ipv6Addr>,
        ipv4: Ipv4Addr,
        port: Option<u16>,
    ) -> Result<Target<'_>, Refusal> {
        let target = self.to_ce(ipv4, port)?;
        let same_ce = match target.domain.options.source_check {
            SourceCheck::Strict => outer_source == target.ce_address,
            SourceCheck::Prefix => target.end_user_prefix.contains(&outer_source) && !self.is_br_address(outer_source),
        };
        let same_domain = br_address.is_none_or(|address| address == target.domain.softwire_address);
        if same_ce && same_domain { Ok(target) } else { Err(Refusal::SpoofedSource) }
    }

    /// What the CE with this prefix, or an address or subnet in it, was given. Where CEs' prefixes nest, that is the CE
    /// with just this address, else the one with the longest prefix, as routers would have it.
    ///
    /// # Errors
    /// A [`PrefixError`] if the prefix is nobody's, or several CEs'.
    pub fn assigned(&self, prefix: Ipv6Net) -> Result<Assignment<'_>, PrefixError> {
        let address = prefix.network();
        let length = prefix.prefix_len();
        let rules = || self.ipv6.matches(address.to_bits()).map(|entry| self.rule_at(entry.value));
        let owners = rules().filter(|(_, rule)| rule.end_user_length() <= length);
        let assignments = owners.map(|(domain, rule)| self.assignment(domain, rule, address));
        let rank = |given: &Assignment<'_>| {
            let is_ce = given.ce_address == address;
            (is_ce && given.shadowed_by.is_none(), is_ce, given.end_user_prefix.prefix_len())
        };
        assignments.max_by_key(rank).ok_or_else(|| {
            let needed = rules().map(|(_, rule)| rule.end_user_length()).min();
            needed.map_or(PrefixError::NoRule(prefix), |length| PrefixError::TooShort(prefix, length))
        })
    }

    /// Whether `address` is a domain's BR address.
    #[must_use]
    pub fn is_br_address(&self, address: Ipv6Addr) -> bool {
        self.domains.iter().any(|domain| domain.softwire_address == address)
    }

    fn assignment<'f>(&'f self, domain: &'f Domain, rule: &'f Rule, address: Ipv6Addr) -> Assignment<'f> {
        let (ipv4, psid) = rule.assigned(address);
        let end_user_prefix = rule.end_user_prefix(ipv4.addr(), psid);
        let ce_address = rule.ce_address(domain.version, ipv4.addr(), psid);
        let shadow = self.longest(ipv4.addr()).next().map(|(_, longest)| longest);
        let shadowed_by = shadow.filter(|longest| longest.ipv4_prefix != rule.ipv4_prefix);
        let psid = rule.layout.is_shared().then_some(psid);
        Assignment { domain, rule, ipv4, psid, end_user_prefix, ce_address, shadowed_by }
    }

    fn index(domains: Vec<Domain>) -> Self {
        let places: Vec<(u32, u32)> = (0u32..)
            .zip(&domains)
            .flat_map(|(at, domain)| (0..domain.rules.len() as u32).map(move |rule| (at, rule)))
            .collect();
        let rules = || domains.iter().flat_map(|domain| &domain.rules).zip(0u32..);
        let ipv4 = rules().map(|(rule, value)| {
            let start = ipv4_key(rule.ipv4_prefix.network());
            Entry { start, length: rule.ipv4_prefix.prefix_len(), value }
        });
        let ipv6 = rules().map(|(rule, value)| {
            let start = rule.mape_prefix.network().to_bits();
            Entry { start, length: rule.mape_prefix.prefix_len(), value }
        });
        let (ipv4, ipv6) = (PrefixIndex::new(ipv4.collect()), PrefixIndex::new(ipv6.collect()));
        Self { domains, places, ipv4, ipv6 }
    }

    pub(crate) fn place(&self, value: u32) -> (usize, usize) {
        let (domain, rule) = self.places[value as usize];
        (domain as usize, rule as usize)
    }

    pub(crate) fn rule_at(&self, value: u32) -> (&Domain, &Rule) {
        self.at(self.places[value as usize])
    }

    pub(crate) fn ipv4_index(&self) -> &PrefixIndex {
        &self.ipv4
    }

    pub(crate) fn ipv6_index(&self) -> &PrefixIndex {
        &self.ipv6
    }

    fn at(&self, (domain, rule): (u32, u32)) -> (&Domain, &Rule) {
        let domain = &self.domains[domain as usize];
        (domain, &domain.rules[rule as usize])
    }
}

fn psid(rule: &Rule, port: Option<u16>) -> Result<Option<Psid>, Refusal> {
    if !rule.layout.is_shared() {
        return Ok(None);
    }
    let port = port.ok_or(Refusal::NoPort)?;
    if rule.layout.is_reserved(port) {
        return Err(Refusal::ReservedPort);
    }
    rule.psid_of(port).map(Some).ok_or(Refusal::NoPort)
}

fn target<'f>(domain: &'f Domain, rule: &'f Rule, ipv4: Ipv4Addr, psid: Option<Psid>) -> Target<'f> {
    let bits = psid.unwrap_or(Psid(0));
    let end_user_prefix = rule.end_user_prefix(ipv4, bits);
    let ce_address = rule.ce_address(domain.version, ipv4, bits);
    Target { domain, rule, psid, end_user_prefix, ce_address }
}

/// An IPv4 address as the index wants it: left-aligned in 128 bits.
fn ipv4_key(address: Ipv4Addr) -> u128 {
    u128::from(address.to_bits()) << 96
}
