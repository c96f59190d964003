//! From an IPv4 address and port to a CE: which rule, which bits, which address.

use std::net::Ipv4Addr;

use engine::DropReason;
use mape::{Ipv4Net, Ipv6Net, PortLayout, Psid, Refusal, Rule, Target, Version, address::leading_ones};

use super::Story;
use crate::{
    explain::anatomy::{Inner, Key, protocol_name},
    map::{answer::word, refusal::why_not},
};

impl<'f> Story<'f> {
    /// Tells which rule answers for an address.
    pub(super) fn rule(&mut self, ipv4: Ipv4Addr) {
        let Some((domain, rule)) = self.fleet.longest(ipv4).next() else { return };
        let count = self.fleet.longest(ipv4).count();
        let name = format!("rule {} of {}", rule.name(), domain.name());
        let (prefix, mape) = (rule.ipv4_prefix(), rule.mape_prefix());
        self.say(if count == 1 {
            format!("The longest match for {ipv4} is {prefix}: {name}, {prefix} <-> {mape}.")
        } else {
            format!("The longest match for {ipv4} is {prefix}, where {count} one-CE rules share it by port.")
        });
    }

    /// Tells how a CE is found for an address of `inner`, the source or the destination, or why none is.
    pub(super) fn ce(&mut self, inner: &Inner<'_>, of_source: bool) -> Option<Target<'f>> {
        let ipv4 = if of_source { inner.source } else { inner.destination };
        let key = inner.key(of_source);
        match (self.fleet.to_ce(ipv4, key.port()), self.reason) {
            (Ok(target), _) => {
                self.way(&target, ipv4, key);
                Some(target)
            }
            (Err(refusal), Some(reason)) if is_same(refusal, key, reason) => {
                let why = self.no_ce(inner, ipv4, key, refusal);
                self.end(why)?;
                None
            }
            (Err(refusal), _) => {
                self.contradiction(word(refusal))?;
                None
            }
        }
    }

    fn no_ce(&self, inner: &Inner<'_>, ipv4: Ipv4Addr, key: Key, refusal: Refusal) -> String {
        match (refusal, key) {
            (Refusal::NoPort, Key::Foreign(named)) => format!(
                "The ICMP error is about a packet of {named}, not of {ipv4}: it does not say which CE of the shared \
                address it is for. One about a packet of {ipv4} would."
            ),
            (Refusal::NoPort, Key::None) => format!(
                "{ipv4} is shared, and nothing in this packet ({}) says which CE it belongs to. TCP, UDP, UDP-Lite, SCTP \
                and DCCP have a port, ICMP queries an identifier, ICMP errors the port of the packet they are about.",
                protocol_name(inner.protocol)
            ),
            _ => why_not(self.fleet, ipv4, key.port(), refusal),
        }
    }

    fn way(&mut self, target: &Target<'_>, ipv4: Ipv4Addr, key: Key) {
        let rule = target.rule;
        match (target.psid, key.port()) {
            (Some(psid), Some(port)) => self.say(psid_step(rule.layout(), psid, key, port)),
            _ => self.say("The address is not shared: every port belongs to the same CE."),
        }
        if rule.fixed_psid().is_some() {
            self.say(format!("PSID and address are those of rule {}, which is for one CE.", rule.name()));
        }
        self.say(prefix_step(rule, ipv4, target.end_user_prefix));
        self.say(address_step(target));
    }
}

/// Whether the engine's reason is the rules' refusal. An ICMP error about somebody else's packet is a spoof from a CE.
fn is_same(refusal: Refusal, key: Key, reason: DropReason) -> bool {
    let is_foreign = matches!(key, Key::Foreign(_)) && refusal == Refusal::NoPort;
    word(refusal) == reason.word() || (is_foreign && reason == DropReason::SpoofedSource)
}

fn psid_step(layout: PortLayout, psid: Psid, key: Key, port: u16) -> String {
    let (a, k) = (u32::from(layout.offset()), u32::from(layout.length()));
    let groups: Vec<String> = [(a, 16 - a), (k, 16 - a - k), (16 - a - k, 0)]
        .into_iter()
        .filter(|(length, _)| *length > 0)
        .map(|(length, shift)| {
            let bits = u32::from(port) >> shift & ((1 << length) - 1);
            format!("{bits:0width$b}", width = length as usize)
        })
        .collect();
    let offset = if a == 0 {
        String::new()
    } else {
        format!("{a} offset bits A = {} (not 0, so the port is a CE's), then ", u32::from(port) >> (16 - a))
    };
    let bits = groups.join(" ");
    format!("{} {port} is {bits} in bits: {offset}{k} PSID bits = {} ({:#x}).", key.name(), psid.0, psid.0)
}

fn prefix_step(rule: &Rule, ipv4: Ipv4Addr, end_user_prefix: Ipv6Net) -> String {
    let (length, suffix) = (rule.ea_bits_length(), rule.ipv4_suffix_length());
    if length == 0 {
        return format!("There are no EA bits: the End-user prefix is the mapePrefix itself, {end_user_prefix}.");
    }
    let behind = !leading_ones(rule.mape_prefix().prefix_len()) & end_user_prefix.addr().to_bits();
    let ea = behind.checked_shr(u32::from(128 - rule.end_user_length())).unwrap_or(0);
    let from = match (suffix, length - suffix) {
        (0, _) => "the PSID".to_string(),
        (_, 0) if rule.delegated_length() < 32 => {
            let delegated = Ipv4Net::new_assert(ipv4, rule.delegated_length()).trunc();
            format!(
                "bits {} to {} of {ipv4}, so the CE has {delegated}",
                32 - suffix_end(rule),
                rule.delegated_length()
            )
        }
        (suffix, 0) => format!("the last {suffix} bits of {ipv4}"),
        (suffix, psid) => format!("the last {suffix} bits of {ipv4}, then the {psid} of the PSID"),
    };
    let (mape, digits) = (rule.mape_prefix(), usize::from(length.div_ceil(4)));
    format!(
        "The {length} EA bits are {from}: 0x{ea:0digits$x}. Behind {mape} they make the End-user prefix {end_user_prefix}."
    )
}

/// How many bits of an address are not the rule's prefix, less one: for counting bits from 1.
fn suffix_end(rule: &Rule) -> u8 {
    31 - rule.ipv4_prefix().prefix_len()
}

fn address_step(target: &Target<'_>) -> String {
    let (address, prefix) = (target.ce_address, target.end_user_prefix);
    let identifier = address.segments()[4..].iter().map(|segment| format!("{segment:x}")).collect::<Vec<_>>().join(":");
    let version = match target.domain.version() {
        Version::Rfc7597 => "RFC7597",
        Version::Draft03 => "Draft03",
    };
    let past = if prefix.prefix_len() > 64 { ", of which the End-user prefix overwrites the first bits" } else { "" };
    format!(
        "The CE address is {address}: that prefix, zero subnet bits, and the interface identifier {identifier} (IPv4 \
        address and PSID, version {version}{past})."
    )
}
