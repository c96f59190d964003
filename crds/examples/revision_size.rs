//! How large revisions are, and how long they take: `cargo run --release -p crds --example revision_size`.

use std::time::Instant;

use crds::revision::{Domain, Files, Revision, decode, encode};
use mape::{DomainConfig, DomainName, Ipv4Net, Ipv6Net, Options, RuleConfig, Version};

fn main() {
    println!("    rules  unpacked B    packed B  B/rule  objects  encode ms  decode ms");
    for rules in [1_000, 8_000, 80_000, 1 << 20] {
        row(rules);
    }
}

fn row(rules: u32) {
    let domains = (0..rules.div_ceil(1000)).map(|at| domain(at, rules)).collect();
    let revision = Revision { fleet: "default".to_owned(), sequence: 1, domains, traceparent: None };
    let begun = Instant::now();
    let objects = encode(&revision).expect("it can be written");
    let encoded = begun.elapsed().as_millis();
    let files: Files = objects.iter().flat_map(|object| object.files.clone()).collect();
    let begun = Instant::now();
    let read = decode(&files).expect("it can be read");
    let decoded = begun.elapsed().as_millis();
    assert_eq!(read, revision);
    let packed: usize = files.iter().filter(|(name, _)| name.ends_with(".gz")).map(|(_, bytes)| bytes.len()).sum();
    let index = crds::revision::Index::parse(&files[crds::revision::INDEX]).expect("it was just written");
    let (bytes, per_rule, objects) = (index.bytes, packed as f64 / f64::from(rules), objects.len());
    println!("{rules:>9}  {bytes:>10}  {packed:>10}  {per_rule:>6.1}  {objects:>7}  {encoded:>9}  {decoded:>9}");
}

/// A thousand rules, a /24 and a /48 each, as one would number them.
fn domain(at: u32, rules: u32) -> Domain {
    let rule = |number: u32| RuleConfig {
        name: format!("r{number}"),
        ipv4_prefix: Ipv4Net::new_assert((0x0800_0000 + (number << 8)).into(), 24),
        mape_prefix: Ipv6Net::new_assert((0x2001_0db8 << 96 | u128::from(number) << 72).into(), 56),
        ea_bits_length: 8,
        psid_offset: 4,
        psid_length: Some(0),
        psid: None,
    };
    let config = DomainConfig {
        name: DomainName { namespace: "isps".to_owned(), name: format!("isp-{at:04}") },
        created: 1_700_000_000,
        softwire_address: "2001:db8:ffff::1".parse().expect("an address"),
        version: Version::Rfc7597,
        rules: (at * 1000..(at * 1000 + 1000).min(rules)).map(rule).collect(),
        options: Options::default(),
    };
    Domain { config, communities: Vec::new(), local_preference: None }
}
