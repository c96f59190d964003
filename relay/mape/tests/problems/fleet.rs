//! How large a fleet may be.

use mape::{DomainConfig, Fleet, Ipv4Net, RuleConfig};

use crate::domains::{binding, problems, sound};

#[test]
fn a_fleet_holds_a_million_rules() {
    let fleet = |count: u32| {
        let rules = |at: u32| (at..count.min(at + 1000)).map(binding).collect();
        let domains = (0..count).step_by(1000).map(|at| DomainConfig { rules: rules(at), ..sound(&format!("d{at}")) });
        problems(domains.collect())
    };
    assert_eq!(fleet(1 << 20), [""; 0]);
    assert_eq!(
        fleet((1 << 20) + 1),
        [
            "spec.rules: found 1048577 rules in the whole fleet, allowed 0 to 1048576: a relay's tables are bounded; make it two fleets"
        ]
    );
}

/// What a fleet needs of its relays' tables, and its problems.
fn needs(rules: &[RuleConfig]) -> (u64, Vec<String>) {
    let chunks = rules.chunks(1000).enumerate();
    let domains: Vec<_> =
        chunks.map(|(at, rules)| DomainConfig { rules: rules.to_vec(), ..sound(&format!("d{at}")) }).collect();
    (Fleet::new(domains.clone()).map_or(0, |fleet| fleet.lookup_cells()), problems(domains))
}

/// One-CE rules for the address 10.0.0.0 and so many more, with PSIDs of `length` bits.
fn shared(more: u32, length: u8, psids: &[u16]) -> Vec<RuleConfig> {
    let rule = |(at, psid): (usize, &u16)| RuleConfig {
        ipv4_prefix: Ipv4Net::new_assert((10 << 24 | more).into(), 32),
        psid_length: Some(length),
        psid: Some(*psid),
        ..binding(more << 8 | u32::from(length) << 1 | at as u32)
    };
    psids.iter().enumerate().map(rule).collect()
}

/// 256 for a /16 and for a /24 with longer rules in them, 8 for each rule, and one for each PSID from the first to the last.
#[test]
fn lookup_cells_are_counted() {
    let cells = |prefix: &str| needs(&[RuleConfig { ipv4_prefix: prefix.parse().unwrap(), ..binding(0) }]).0;
    assert_eq!(cells("10.0.0.0/16"), 8);
    assert_eq!(cells("10.0.0.0/24"), 8 + 256);
    assert_eq!(cells("10.0.0.0/32"), 8 + 2 * 256);
    assert_eq!(needs(&shared(0, 4, &[3, 7])).0, 2 * 8 + 2 * 256 + 5);
    // PSID 1 of two bits is 4 to 7 of four.
    assert_eq!(needs(&[shared(0, 2, &[1]), shared(0, 4, &[9])].concat()).0, 2 * 8 + 2 * 256 + 6);
}

/// Two PSIDs of 16 bits, as far apart as they can be, cost a table of 65,536 cells: there may be 1,023 of those, and a bit.
#[test]
fn a_fleet_fits_the_lookup_tables() {
    let fleet = |last: u16| {
        let full = (0..1023).flat_map(|number| shared(number, 16, &[0, u16::MAX]));
        needs(&full.chain(shared(1023, 16, &[0, last])).collect::<Vec<_>>())
    };
    assert_eq!(fleet(47_871), (1 << 26, vec![]));
    assert_eq!(
        fleet(47_872).1,
        [
            "spec.rules: found rules that need 67108865 cells of lookup table in the whole fleet, allowed 0 to 67108864: a relay's tables are bounded: each /24 with a longer rule in it takes 256 cells, each shared /32 one cell for each PSID between its first and last; make it two fleets"
        ]
    );
}
