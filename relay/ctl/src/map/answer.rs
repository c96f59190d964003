//! The answers of `map --batch`, one JSON object each. The keys are an interface: nothing is added lightly.

use std::net::Ipv6Addr;

use mape::{Assignment, Ipv4Net, PortLayout, Psid, Refusal, Rule, Target};
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer<'f> {
    ToCe(Owner<'f>),
    Passes {
        /// Always true; what does not pass is a drop.
        forward: bool,
        #[serde(flatten)]
        owner: Owner<'f>,
    },
    Drop {
        drop: &'static str,
    },
    Assigned(Assigned),
    Ports {
        ports: Vec<[u16; 2]>,
    },
    Error {
        error: String,
    },
}

/// Whose address and port it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owner<'f> {
    domain: &'f str,
    rule: &'f str,
    psid: Option<u16>,
    prefix: String,
    ce_address: Ipv6Addr,
}

/// What the CE with a prefix was given.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Assigned {
    ipv4: String,
    psid: Option<u16>,
    ce_address: Ipv6Addr,
    ports: Vec<[u16; 2]>,
}

impl<'f> From<Target<'f>> for Owner<'f> {
    fn from(target: Target<'f>) -> Self {
        Self {
            domain: &target.domain.name().name,
            rule: target.rule.name(),
            psid: target.psid.map(|psid| psid.0),
            prefix: target.end_user_prefix.to_string(),
            ce_address: target.ce_address,
        }
    }
}

impl From<Assignment<'_>> for Assigned {
    fn from(assignment: Assignment<'_>) -> Self {
        Self {
            ipv4: delegated(assignment.ipv4),
            psid: assignment.psid.map(|psid| psid.0),
            ce_address: assignment.ce_address,
            ports: port_ranges(assignment.rule, assignment.psid),
        }
    }
}

/// The word for a refusal: that of the relay's drop reason.
pub(crate) fn word(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoRule => "NoRule",
        Refusal::NoPort => "NoPort",
        Refusal::ReservedPort => "ReservedPort",
        Refusal::SpoofedSource => "SpoofedSource",
    }
}

/// An address, or a prefix where a CE is given one.
pub(crate) fn delegated(ipv4: Ipv4Net) -> String {
    if ipv4.prefix_len() == 32 { ipv4.addr().to_string() } else { ipv4.to_string() }
}

/// The ports of a CE as `[first, last]`; all of them where nothing is shared.
pub(crate) fn port_ranges(rule: &Rule, psid: Option<Psid>) -> Vec<[u16; 2]> {
    let layout: PortLayout = rule.layout();
    layout.ranges(psid.unwrap_or(Psid(0))).map(|range| [*range.start(), *range.end()]).collect()
}
