//! Random fleets of rules of every kind, nested and side by side, and addresses in and around them.

use std::net::{Ipv4Addr, Ipv6Addr};

use mape::{
    DomainConfig, DomainName, Fleet, Ipv4Net, Ipv6Net, RuleConfig, Version,
    options::{Icmp, SourceCheck},
};
use proptest::{collection::vec, prelude::*, sample::Index};

/// A fleet of them.
pub(crate) fn fleet() -> impl Strategy<Value = Fleet> {
    domains().prop_map(|domains| Fleet::new(domains).expect("sound domains"))
}

/// As many of some domains as are sound together; at least one.
pub(crate) fn domains() -> impl Strategy<Value = Vec<DomainConfig>> {
    let sound = vec(domain(), 1..24).prop_map(|domains| {
        let mut sound: Vec<DomainConfig> = Vec::new();
        for domain in domains {
            sound.push(domain);
            if Fleet::new(sound.clone()).is_err() {
                sound.pop();
            }
        }
        sound
    });
    sound.prop_filter("no domain is sound", |domains| !domains.is_empty())
}

/// An address: in a rule, or just outside.
pub(crate) fn address(fleet: &Fleet, which: Index, low: u32) -> Ipv4Addr {
    let rules: Vec<_> = fleet.rules().map(|(_, rule)| rule.ipv4_prefix()).collect();
    if rules.is_empty() {
        return Ipv4Addr::from(0x1400_0000 | low & 0x00ff_ffff);
    }
    let prefix = which.get(&rules);
    let host = low & u32::MAX.checked_shr(prefix.prefix_len().into()).unwrap_or(0);
    let beside = u32::from(low.is_multiple_of(7));
    Ipv4Addr::from((prefix.network().to_bits() | host).wrapping_add(beside))
}

/// One rule in a domain of its own. Rules are made so that most are sound; the unsound are left out.
fn domain() -> impl Strategy<Value = DomainConfig> {
    let rule = (8..=32u8, any::<u32>(), 0..=6u8, 0..=8u8, 0..5u8, any::<u16>(), 32..=72u8);
    let options = (any::<bool>(), any::<bool>(), 0..3u16);
    (rule, options, 0..4000u16).prop_map(|((length, bits, offset, k, kind, psid, v6), (draft, prefix, br), number)| {
        // 20.0.0.0/8 and 20.1.0.0/16 are crowded, so that rules nest.
        let crowded = [0x1400_0000 | bits & 0x00ff_ffff, 0x1401_0000 | bits & 0xffff, 0x1401_0200 | bits & 0xff];
        let address = Ipv4Addr::from(crowded[usize::from(number % 3)]);
        let one_ce = kind == 0;
        let length = if one_ce { 32 } else { length.max(12) };
        let suffix = 32 - length;
        let (ea, k, psid) = match kind {
            0 => (0, k, (k > 0).then_some(psid & ((1 << k) - 1))),
            1 => (suffix.saturating_sub(k), 0, None),
            _ => (suffix + k, k, None),
        };
        let mape_prefix = Ipv6Addr::from(0x2001_0db8u128 << 96 | u128::from(number) << 84);
        let rule = RuleConfig {
            name: "r".into(),
            ipv4_prefix: Ipv4Net::new_assert(address, length).trunc(),
            mape_prefix: Ipv6Net::new_assert(mape_prefix, v6.clamp(44, 128 - ea)).trunc(),
            ea_bits_length: ea,
            psid_offset: offset,
            psid_length: Some(k),
            psid,
        };
        let source_check = if prefix { SourceCheck::Prefix } else { SourceCheck::Strict };
        let icmp = Icmp { errors_per_second: 0, ..Icmp::default() };
        let options = mape::Options { source_check, icmp, ..mape::Options::default() };
        DomainConfig {
            name: DomainName { namespace: "default".into(), name: format!("d{number}") },
            created: 0,
            softwire_address: Ipv6Addr::from(0x3001_0db8u128 << 96 | u128::from(br + 1)),
            version: if draft { Version::Draft03 } else { Version::Rfc7597 },
            rules: vec![rule],
            options,
        }
    })
}
