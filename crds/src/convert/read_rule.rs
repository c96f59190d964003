//! One mapping rule.

use std::fmt;

use mape::{Ipv4Net, Ipv6Net, RuleConfig};

use super::{read::Reader, read_text};
use crate::map_domain::MapRule;

pub(super) fn rule(reader: &mut Reader, at: usize, written: &MapRule) -> RuleConfig {
    let path = |field| Path { at, field };
    let port_bits = "a port has 16 bits (RFC 7597 s.5.1)";
    let ea_bits = "32 bits of an IPv4 address and 16 of a port are all there is (RFC 7597 s.5.2)";
    let (ipv4, mape) = (&written.ipv4_prefix, &written.mape_prefix);
    RuleConfig {
        name: written.name.clone(),
        ipv4_prefix: reader.parsed(path("ipv4Prefix"), ipv4, read_text::ipv4_prefix, Ipv4Net::default()),
        mape_prefix: reader.parsed(path("mapePrefix"), mape, read_text::ipv6_prefix, Ipv6Net::default()),
        ea_bits_length: reader.number(path("eaBitsLength"), written.ea_bits_length, 0..=48, ea_bits),
        psid_offset: reader.number(path("psidOffset"), written.psid_offset, 0..=16, port_bits),
        psid_length: written.psid_length.map(|bits| reader.number(path("psidLength"), bits, 0..=16, port_bits)),
        psid: written.psid.map(|psid| reader.number(path("psid"), psid, 0..=65_535, port_bits)),
    }
}

/// A field of a rule, put together only when there is something to say about it.
struct Path {
    at: usize,
    field: &'static str,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.rules[{}].{}", self.at, self.field)
    }
}
