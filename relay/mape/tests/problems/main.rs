//! Every problem that a configuration can have, word for word: these sentences are all an engineer sees.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod between;
mod domains;
mod fleet;
mod options;
mod rules;

use crate::domains::{problems, sound};

#[test]
fn all_problems_show_at_once() {
    let mut one = sound("one");
    one.options.mtu.v6 = 100;
    one.rules[0].psid_offset = 20;
    one.rules[1].name = "B".into();
    one.rules[1].ipv4_prefix = "0.0.0.0/0".parse().unwrap();
    let mut two = sound("two");
    two.rules.clear();
    assert_eq!(
        problems(vec![two, one]),
        [
            "spec.mtu.v6: found 100, allowed 1280 to 16384: IPv6 promises 1280 (RFC 8200 s.5), and the relay carries packets up to 16 KiB",
            "spec.rules[1].name: found `B`, allowed 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit: it is used as a label (RFC 1123)",
            "spec.rules[0].psidOffset: found 20, allowed 0 to 16: a port has 16 bits (RFC 7597 s.5.1)",
            "spec.rules[1].ipv4Prefix: found 0.0.0.0/0, allowed unicast space: 0/8, 127/8, 224/4 and 240/4 are nobody's to give away (RFC 6890, RFC 1812 s.5.3.7)",
            "spec.rules[1].psidLength: found 8, allowed 0: eaBitsLength (16) less the 32 host bits of 0.0.0.0/0 is the PSID (RFC 7597 s.5.2); leave it out to have it derived",
            "spec.rules: found 0, allowed 1 to 1000: a domain is its rules (RFC 7597 s.3), and one object holds no more"
        ]
    );
}
