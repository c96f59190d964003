//! Every MAP-E vector of `vectors.json`: other implementations' and the RFCs' own examples.
//!
//! A case whose source contradicts itself is not `verified`; what must come out then is `computed`, and `why` says
//! what is wrong with the source. Unknown fields are errors, so no expectation is skipped silently.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use mape::{
    Assignment, DomainConfig, DomainName, Fleet, Ipv4Net, Ipv6Net, Options, PrefixError, Problem, Psid, RuleConfig,
    Target, Version,
};
use serde::Deserialize;

#[test]
fn every_vector_comes_out() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let mut ran: BTreeMap<&str, usize> = BTreeMap::new();
    for vector in &vectors {
        let version = match vector.rule.mode.as_str() {
            "rfc7597" => Version::Rfc7597,
            "draft-03" => Version::Draft03,
            "map-t" => {
                *ran.entry("not MAP-E").or_default() += vector.cases.len();
                continue;
            }
            other => panic!("{}: unknown mode {other}", vector.id),
        };
        let fleet = vector.rule.fleet(version);
        for (at, case) in vector.cases.iter().enumerate() {
            let context = format!("{} case {at} ({})", vector.id, case.note.as_deref().unwrap_or_default());
            *ran.entry(case.run(&fleet, &context)).or_default() += 1;
        }
    }
    let expected = [("from CE", 9), ("not MAP-E", 13), ("ports", 7), ("prefix", 11), ("rule", 1), ("to CE", 40)];
    assert_eq!(ran, BTreeMap::from(expected), "all 81 cases, by what they ask");
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    id: String,
    #[serde(rename = "family")]
    _family: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "note")]
    _note: Option<String>,
    rule: VectorRule,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VectorRule {
    ipv4_prefix: Net4,
    ipv6_prefix: Net6,
    ea_bits_length: u8,
    psid_offset: u8,
    psid_length: u8,
    psid: Option<u16>,
    br_address: Option<Ipv6Addr>,
    mode: String,
    /// MAP-T's; not MAP-E.
    #[serde(rename = "dmr")]
    _dmr: Option<String>,
}

/// A prefix as JSON has it: a string.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Net4(Ipv4Net);

/// A prefix as JSON has it: a string.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Net6(Ipv6Net);

impl TryFrom<String> for Net4 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| format!("{text}: {error}"))
    }
}

impl TryFrom<String> for Net6 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| format!("{text}: {error}"))
    }
}

impl VectorRule {
    fn fleet(&self, version: Version) -> Result<Fleet, Vec<Problem>> {
        let elsewhere = Ipv6Addr::new(0x3001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
        Fleet::new(vec![DomainConfig {
            name: DomainName { namespace: "default".into(), name: "vector".into() },
            created: 0,
            softwire_address: self.br_address.unwrap_or(elsewhere),
            version,
            rules: vec![RuleConfig {
                name: "r".into(),
                ipv4_prefix: self.ipv4_prefix.0,
                mape_prefix: self.ipv6_prefix.0,
                ea_bits_length: self.ea_bits_length,
                psid_offset: self.psid_offset,
                psid_length: Some(self.psid_length),
                psid: self.psid,
            }],
            options: Options::default(),
        }])
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    note: Option<String>,
    // What is asked
    ipv4: Option<Ipv4Addr>,
    port: Option<u16>,
    src_ipv6: Option<Ipv6Addr>,
    pd: Option<Net6>,
    psid: Option<u16>,
    /// MAP-T's; not MAP-E.
    dmr_source: Option<Ipv4Addr>,
    // What is expected
    expect_ipv6: Option<Ipv6Addr>,
    expect_prefix: Option<Net6>,
    expect_ipv4: Option<String>,
    expect_psid: Option<u16>,
    expect_ports: Option<Vec<String>>,
    count: Option<usize>,
    #[serde(default)]
    expect_drop: bool,
    #[serde(default)]
    expect_rule_reject: bool,
    // Where it comes from
    verified: bool,
    computed: Option<String>,
    #[serde(rename = "why")]
    _why: Option<String>,
    #[serde(default, rename = "derived")]
    _derived: bool,
    #[serde(default, rename = "portChosen")]
    _port_chosen: bool,
}

impl Case {
    /// Runs one case and says what kind it was.
    fn run(&self, fleet: &Result<Fleet, Vec<Problem>>, context: &str) -> &'static str {
        if self.expect_rule_reject {
            let problems = fleet.as_ref().expect_err(context);
            assert!(problems.iter().any(|problem| problem.field == "spec.rules[0].psidLength"), "{context}");
            return "rule";
        }
        let fleet = fleet.as_ref().unwrap_or_else(|problems| panic!("{context}: {problems:?}"));
        match (self.ipv4, self.port, self.src_ipv6, &self.pd, self.psid) {
            (Some(ipv4), Some(port), None, None, None) => self.sent_to(fleet, ipv4, port, context),
            (Some(ipv4), Some(port), Some(source), None, None) => self.sent_by(fleet, source, ipv4, port, context),
            (None, None, None, Some(prefix), None) => self.prefix(fleet, prefix.0, context),
            (None, None, None, None, Some(psid)) => self.ports(fleet, Psid(psid), context),
            _ => panic!("{context}: asks nothing that is MAP-E: {:?}", self.dmr_source),
        }
    }

    fn sent_to(&self, fleet: &Fleet, ipv4: Ipv4Addr, port: u16, context: &str) -> &'static str {
        let found = fleet.to_ce(ipv4, Some(port));
        if self.drops() {
            assert!(found.is_err(), "{context}: {found:?}");
            return "to CE";
        }
        let target = found.unwrap_or_else(|refusal| panic!("{context}: {refusal}"));
        match (&self.computed, self.expect_ipv6, &self.expect_prefix) {
            (Some(computed), ..) => assert_eq!(target.ce_address.to_string(), *computed, "{context}"),
            (None, Some(address), None) => assert_eq!(target.ce_address, address, "{context}"),
            (None, None, Some(prefix)) => assert!(prefix.0.contains(&target.end_user_prefix), "{context}"),
            _ => panic!("{context}: expects nothing"),
        }
        leads_back(fleet, &target, ipv4, port, context);
        "to CE"
    }

    fn sent_by(&self, fleet: &Fleet, source: Ipv6Addr, ipv4: Ipv4Addr, port: u16, context: &str) -> &'static str {
        let found = fleet.check_source(source, None, ipv4, Some(port));
        assert_eq!(found.is_err(), self.drops(), "{context}: {found:?}");
        "from CE"
    }

    fn prefix(&self, fleet: &Fleet, prefix: Ipv6Net, context: &str) -> &'static str {
        let found = fleet.assigned(prefix);
        if self.drops() {
            assert!(matches!(found, Err(PrefixError::TooShort(..))), "{context}: {found:?}");
            return "prefix";
        }
        let given = found.unwrap_or_else(|error| panic!("{context}: {error}"));
        if let Some(computed) = &self.computed {
            assert_eq!(in_words(&given), *computed, "{context}");
            return "prefix";
        }
        assert_eq!(given.ipv4.addr().to_string(), *self.expect_ipv4.as_ref().expect(context), "{context}");
        assert_eq!(given.psid, self.expect_psid.map(Psid), "{context}");
        assert_eq!(Some(given.ce_address), self.expect_ipv6, "{context}");
        "prefix"
    }

    /// The source lists some of the ranges, ascending, with the first and last among them, and counts them all.
    fn ports(&self, fleet: &Fleet, psid: Psid, context: &str) -> &'static str {
        let layout = fleet.domains()[0].rules()[0].layout();
        let ranges: Vec<String> = layout.ranges(psid).map(in_text).collect();
        if let Some(computed) = &self.computed {
            let ends = [ranges.first(), ranges.last()].map(|range| range.expect(context).clone());
            assert_eq!(format!("{} ranges {} .. {}", ranges.len(), ends[0], ends[1]), *computed, "{context}");
            return "ports";
        }
        let listed = self.expect_ports.as_ref().expect(context);
        assert_eq!(Some(ranges.len()), self.count, "{context}");
        assert!(listed.iter().all(|range| ranges.contains(range)), "{context}: {ranges:?}");
        assert_eq!((listed.first(), listed.last()), (ranges.first(), ranges.last()), "{context}");
        "ports"
    }

    /// Whether the packet must be dropped: as the source says or, if that contradicts itself, as computed.
    fn drops(&self) -> bool {
        assert_eq!(self.verified, self.computed.is_none(), "an unverified case says what comes out");
        self.computed.as_ref().map_or(self.expect_drop, |computed| computed.starts_with("drop"))
    }
}

/// What went to a CE may come from it, and its prefix says what it was given.
fn leads_back(fleet: &Fleet, target: &Target<'_>, ipv4: Ipv4Addr, port: u16, context: &str) {
    let back = fleet.check_source(target.ce_address, None, ipv4, Some(port));
    assert_eq!(back.as_ref(), Ok(target), "{context}");
    let given = fleet.assigned(target.end_user_prefix).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(given.ipv4.contains(&ipv4), "{context}");
    assert_eq!((given.psid, given.ce_address), (target.psid, target.ce_address), "{context}");
}

fn in_words(given: &Assignment<'_>) -> String {
    let psid = given.psid.map_or(String::from("none"), |psid| psid.0.to_string());
    format!("{} psid {psid} {}", given.ipv4.addr(), given.ce_address)
}

fn in_text(range: RangeInclusive<u16>) -> String {
    format!("{}-{}", range.start(), range.end())
}
