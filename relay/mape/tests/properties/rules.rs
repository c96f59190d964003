//! Random sound rules of every kind, and domains of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use mape::{DomainConfig, DomainName, Ipv4Net, Ipv6Net, Options, RuleConfig, Version};
use proptest::prelude::*;

/// A domain with one random rule.
pub(crate) fn one_rule() -> impl Strategy<Value = DomainConfig> {
    (rule(), version()).prop_map(|(rule, version)| domain("one", version, vec![rule]))
}

/// A domain whose rules share one /32, each one CE with a PSID of its own; PSIDs of different lengths among them.
pub(crate) fn shared_address() -> impl Strategy<Value = DomainConfig> {
    let layout = (1u8..=8, 0u8..=7).prop_map(|(length, offset)| (offset, length));
    (layout, ipv4_bits(), ipv6_bits(), version()).prop_flat_map(|(layout, ipv4, ipv6, version)| {
        let psids = proptest::collection::btree_set(0..1u16 << layout.1, 1..=20);
        (psids, 0u8..=1).prop_map(move |(psids, longer)| {
            let rules = (0u128..).zip(psids).map(|(at, psid)| RuleConfig {
                name: format!("ce-{at}"),
                ipv4_prefix: Ipv4Net::new_assert(ipv4.into(), 32),
                mape_prefix: Ipv6Net::new_assert((ipv6 & !(0xffff << 72) | at << 72).into(), 56).trunc(),
                ea_bits_length: 0,
                psid_offset: layout.0,
                // Every other rule has half the ports of its share.
                psid_length: Some(layout.1 + longer * u8::from(at % 2 == 1)),
                psid: Some(psid << (longer * u8::from(at % 2 == 1))),
            });
            domain("shared", version, rules.collect())
        })
    })
}

/// Several domains, in little space, so that rules nest, and clash.
pub(crate) fn crowd() -> impl Strategy<Value = Vec<DomainConfig>> {
    let rules = proptest::collection::vec(crowded_rule(), 1..=4);
    proptest::collection::vec((rules, version(), 0i64..3), 1..=5).prop_map(|domains| {
        let numbered = domains.into_iter().enumerate();
        let named = numbered.map(|(at, (mut rules, version, created))| {
            for (number, rule) in rules.iter_mut().enumerate() {
                rule.name = format!("r{number}");
            }
            DomainConfig { created, ..domain(&format!("d{at}"), version, rules) }
        });
        named.collect()
    })
}

/// Any sound rule: shared, full address, IPv4 prefix, one CE with a PSID or without.
fn rule() -> impl Strategy<Value = RuleConfig> {
    (8u8..=32, ipv4_bits(), ipv6_bits()).prop_flat_map(|(length, ipv4, ipv6)| {
        let kind = prop_oneof![
            Just(Kind::Shared),
            Just(Kind::FullAddress),
            (0..=32 - length).prop_map(Kind::Prefix),
            Just(Kind::OneCe),
        ];
        (kind, 0u8..=16, 0u8..=16, any::<u16>(), 0u8..=96)
            .prop_map(move |(kind, k, a, psid, m)| sound(kind, length, ipv4, ipv6, (k, a, psid, m)))
    })
}

/// A rule in 10.0.0.0/14 and 2001:db8::/32, coarse, so that random ones meet.
fn crowded_rule() -> impl Strategy<Value = RuleConfig> {
    let place = (0u32..4, 0u128..4, 14u8..=18, 40u8..=44);
    (place, 0u8..=2, 0u8..=2).prop_map(|((ipv4, ipv6, length, m), suffix, a)| RuleConfig {
        name: "r".into(),
        ipv4_prefix: Ipv4Net::new_assert((10 << 24 | ipv4 << 14).into(), length).trunc(),
        mape_prefix: Ipv6Net::new_assert((0x2001_0db8 << 96 | ipv6 << 84).into(), m).trunc(),
        ea_bits_length: 32 - length + suffix,
        psid_offset: a * 3,
        psid_length: None,
        psid: None,
    })
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The EA bits carry the whole suffix and a PSID.
    Shared,
    /// The whole suffix, no PSID.
    FullAddress,
    /// As many bits of the suffix.
    Prefix(u8),
    /// No EA bits: the rule says whose PSID it is.
    OneCe,
}

fn sound(kind: Kind, length: u8, ipv4: u32, ipv6: u128, (k, a, psid, m): (u8, u8, u16, u8)) -> RuleConfig {
    let length = if matches!(kind, Kind::OneCe) && k > 0 { 32 } else { length };
    let (ea, psid_length, psid) = match kind {
        Kind::Shared => (32 - length + k, None, None),
        Kind::FullAddress => (32 - length, Some(0), None),
        Kind::Prefix(bits) => (bits.min(32 - length), None, None),
        Kind::OneCe if k == 0 => (0, None, None),
        Kind::OneCe => (0, Some(k), Some((u32::from(psid) & ((1 << k) - 1)) as u16)),
    };
    let k = if matches!(kind, Kind::Shared | Kind::OneCe) { k } else { 0 };
    RuleConfig {
        name: "r".into(),
        ipv4_prefix: Ipv4Net::new_assert(ipv4.into(), length).trunc(),
        mape_prefix: Ipv6Net::new_assert(ipv6.into(), (32 + m).min(128 - ea)).trunc(),
        ea_bits_length: ea,
        psid_offset: a.min(16 - k),
        psid_length,
        psid,
    }
}

fn domain(name: &str, version: Version, rules: Vec<RuleConfig>) -> DomainConfig {
    DomainConfig {
        name: DomainName { namespace: "default".into(), name: name.into() },
        created: 0,
        softwire_address: Ipv6Addr::new(0x3001, 0xdb8, 0xffff, 0, 0, 0, 0, 1),
        version,
        rules,
        options: Options::default(),
    }
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::Rfc7597), Just(Version::Draft03)]
}

/// An address in unicast space.
fn ipv4_bits() -> impl Strategy<Value = u32> {
    (1u8..=223, any::<[u8; 3]>())
        .prop_filter("loopback", |(first, _)| *first != 127)
        .prop_map(|(first, [b, c, d])| Ipv4Addr::new(first, b, c, d).to_bits())
}

/// An address in 2001:db8::/32, which the BR address is not in.
fn ipv6_bits() -> impl Strategy<Value = u128> {
    any::<u128>().prop_map(|bits| 0x2001_0db8 << 96 | bits >> 32)
}
