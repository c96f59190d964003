//! Why nobody was found, in sentences that say what would have been.

use std::net::Ipv4Addr;

use mape::{Fleet, PrefixError, Psid, Refusal, Rule};
use serde::Serialize;

use super::answer::word;
use crate::text;

/// No CE.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    /// What a relay would call it; absent where no packet is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) drop: Option<&'static str>,
    /// The sentence.
    #[serde(rename = "error")]
    pub(crate) why: String,
}

/// About a forward lookup.
pub(crate) fn to_ce(fleet: &Fleet, ipv4: Ipv4Addr, port: Option<u16>, refusal: Refusal) -> Refused {
    Refused { drop: Some(word(refusal)), why: why_not(fleet, ipv4, port, refusal) }
}

/// The sentences about an IPv4 address and port that no CE owns.
pub(crate) fn why_not(fleet: &Fleet, ipv4: Ipv4Addr, port: Option<u16>, refusal: Refusal) -> String {
    let rules: Vec<&Rule> = fleet.longest(ipv4).map(|(_, rule)| rule).collect();
    match (refusal, rules.first(), port) {
        (Refusal::ReservedPort, Some(rule), Some(port)) => reserved(rule, port),
        (Refusal::NoPort, Some(rule), None) => no_port(rule, ipv4),
        (Refusal::NoPort, Some(_), Some(port)) => not_bound(&rules, ipv4, port),
        _ => no_rule(fleet, ipv4),
    }
}

fn reserved(rule: &Rule, port: u16) -> String {
    let first_owned = 1u32 << (16 - rule.layout().offset());
    format!(
        "Port {port} belongs to no CE: rule {} has psidOffset {}, which reserves ports 0 to {} (RFC 7597 s.5.1). Ports \
        from {first_owned} on have a CE.",
        rule.name(),
        rule.layout().offset(),
        first_owned - 1,
    )
}

fn no_port(rule: &Rule, ipv4: Ipv4Addr) -> String {
    let sharing = rule.layout().sharing_ratio();
    format!(
        "{ipv4} is shared by up to {sharing} CEs (rule {}, {}), so only a port tells whose it is: ask for {ipv4}:PORT.",
        rule.name(),
        rule.ipv4_prefix()
    )
}

/// One-CE rules on an address, none of which has the port.
fn not_bound(rules: &[&Rule], ipv4: Ipv4Addr, port: u16) -> String {
    let owned = rules.iter().map(|rule| {
        let psid = rule.fixed_psid().unwrap_or(Psid(0));
        format!("{} (PSID {} of {})", rule.name(), psid.0, rule.layout().sharing_ratio())
    });
    let wanted = rules.iter().find_map(|rule| rule.layout().psid_of(port).map(|psid| (psid, rule.layout())));
    let psid =
        wanted.map_or(String::new(), |(psid, layout)| format!(" (PSID {} of {})", psid.0, layout.sharing_ratio()));
    format!("Port {port}{psid} of {ipv4} is in no rule. The rules on that address: {}.", text::list(owned))
}

fn no_rule(fleet: &Fleet, ipv4: Ipv4Addr) -> String {
    let distance = |rule: &Rule| {
        let (first, last) = (rule.ipv4_prefix().network().to_bits(), rule.ipv4_prefix().broadcast().to_bits());
        first.saturating_sub(ipv4.to_bits()).max(ipv4.to_bits().saturating_sub(last))
    };
    let Some((domain, nearest)) = fleet.rules().min_by_key(|(_, rule)| distance(rule)) else {
        return format!("{ipv4} is in no rule's ipv4Prefix: there are no rules.");
    };
    let prefix = nearest.ipv4_prefix();
    format!(
        "{ipv4} is in no rule's ipv4Prefix. The nearest is {prefix} ({} to {}), rule {} of {}.",
        prefix.network(),
        prefix.broadcast(),
        nearest.name(),
        domain.name()
    )
}

/// About a reverse lookup.
pub(crate) fn assigned(fleet: &Fleet, error: &PrefixError) -> Refused {
    let why = match error {
        PrefixError::NoRule(prefix) => {
            let relayed = fleet.domains().iter().find(|domain| domain.softwire_address() == prefix.addr());
            match relayed {
                Some(domain) => format!("{} is the BR address of {}, not a CE's.", prefix.addr(), domain.name()),
                None => format!("{error}. The rules have {}.", text::list(mape_prefixes(fleet))),
            }
        }
        PrefixError::TooShort(prefix, length) => {
            format!("{error}. Ask for one of them, such as {}/{length}.", prefix.network())
        }
    };
    Refused { drop: None, why }
}

fn mape_prefixes(fleet: &Fleet) -> Vec<String> {
    fleet
        .rules()
        .map(|(domain, rule)| format!("{} ({} of {})", rule.mape_prefix(), rule.name(), domain.name()))
        .collect()
}
