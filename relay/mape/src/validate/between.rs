//! What lies between rules and between domains: two must not answer for the same (IPv4, port), nor own equal
//! End-user prefixes; nested prefixes are legal, the longest match wins.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    DomainConfig, Fleet, Problem,
    address::leading_ones,
    fleet::{MAX_LOOKUP_CELLS, MAX_RULES},
    index::Entry,
};

/// All contradictions between the domains of `fleet`, which `configs` made, in the same order.
pub(crate) fn between(fleet: &Fleet, configs: &[DomainConfig]) -> Vec<Problem> {
    let mut problems = duplicate_names(configs);
    problems.extend(shared_ports(fleet));
    problems.extend(shared_prefixes(fleet));
    problems.extend(br_addresses_of_ces(fleet));
    problems.extend(size(fleet));
    problems
}

fn duplicate_names(configs: &[DomainConfig]) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let again = configs.iter().filter(|config| !seen.insert(&config.name));
    again
        .map(|config| Problem {
            domain: config.name.clone(),
            field: "metadata.name".to_string(),
            found: config.name.to_string(),
            allowed: "a name of its own".to_string(),
            why: "another domain has that namespace and name".into(),
            conflicts_with: Some(config.name.clone()),
        })
        .collect()
}

/// Rules with equal IPv4 prefixes: only one-CE rules on a /32 may, if no port is owned twice.
fn shared_ports(fleet: &Fleet) -> Vec<Problem> {
    let entries = fleet.ipv4_index().entries();
    let mut problems = Vec::new();
    for group in entries.chunk_by(|a, b| (a.start, a.length) == (b.start, b.length)) {
        let mut members: Vec<u32> = group.iter().map(|entry| entry.value).collect();
        members.sort_unstable();
        let mut owners: Owners = BTreeMap::new();
        let first = members[0];
        for value in members {
            problems.extend(shared_port(fleet, first, value, &mut owners));
        }
    }
    problems
}

/// Which rule owns which PSIDs: the first one of its range at the finest length, to the last one and the owner.
type Owners = BTreeMap<u32, (u32, u32)>;

fn shared_port(fleet: &Fleet, first: u32, value: u32, owners: &mut Owners) -> Option<Problem> {
    let (_, rule) = fleet.rule_at(value);
    let (_, first_rule) = fleet.rule_at(first);
    let shared = format!("it has the same ipv4Prefix, {}", rule.ipv4_prefix());
    let (Some(psid), Some(_)) = (rule.fixed_psid(), first_rule.fixed_psid()) else {
        let found = rule.ipv4_prefix().to_string();
        let fix = "a prefix of its own, or one-CE rules with a psid on both sides";
        return (value != first).then(|| conflict(fleet, first, value, "ipv4Prefix", found, fix, &shared));
    };
    if rule.layout().offset() != first_rule.layout().offset() {
        let fix = first_rule.layout().offset().to_string();
        let found = rule.layout().offset().to_string();
        return Some(conflict(fleet, first, value, "psidOffset", found, &fix, &shared));
    }
    // PSIDs of different lengths on one address nest like prefixes; at 16 bits they are plain ranges.
    let spare = 16 - u32::from(rule.layout().length());
    let (from, to) = (u32::from(psid.0) << spare, ((u32::from(psid.0) + 1) << spare) - 1);
    if let Some((_, (end, owner))) = owners.range(..=to).next_back()
        && *end >= from
    {
        let why = format!("{shared}, and owns some of the ports of PSID {}", psid.0);
        return Some(conflict(fleet, *owner, value, "psid", psid.0.to_string(), "a PSID of its own", &why));
    }
    owners.insert(from, (to, value));
    None
}

/// Rules whose End-user prefixes have one length and one space: some CE of each would have the same. In the order of
/// age, so that whoever is blamed clashes with one that is not.
fn shared_prefixes(fleet: &Fleet) -> Vec<Problem> {
    let mut entries: Vec<&Entry> = fleet.ipv6_index().entries().iter().collect();
    entries.sort_unstable_by_key(|entry| entry.value);
    let mut owners: BTreeMap<(u8, u128), &Entry> = BTreeMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        let (_, rule) = fleet.rule_at(entry.value);
        let length = rule.end_user_length();
        let last = (length, entry.start | !leading_ones(entry.length));
        let nearest = owners.range((length, 0)..=last).next_back().map(|(_, owner)| *owner);
        let Some(owner) = nearest.filter(|owner| owner.contains(entry.start) || entry.contains(owner.start)) else {
            owners.insert((length, entry.start), entry);
            continue;
        };
        let (_, other) = fleet.rule_at(owner.value);
        let why = format!("both make End-user prefixes of /{length}, and it has mapePrefix {}", other.mape_prefix());
        let found = rule.mape_prefix().to_string();
        problems.push(conflict(fleet, owner.value, entry.value, "mapePrefix", found, "IPv6 space of its own", &why));
    }
    problems
}

/// A BR address that some CE computes as its own. The younger domain has to move: its BR address, or its CEs.
fn br_addresses_of_ces(fleet: &Fleet) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, domain) in fleet.domains().iter().enumerate() {
        for entry in fleet.ipv6_index().matches(domain.softwire_address().to_bits()) {
            let (owner, rule) = fleet.rule_at(entry.value);
            let (ipv4, psid) = rule.assigned(domain.softwire_address());
            if rule.ce_address(owner.version(), ipv4.addr(), psid) == domain.softwire_address() {
                let ce = format!("the CE with {ipv4}, PSID {}", psid.0);
                problems.push(br_address_of_ce(fleet, at, fleet.place(entry.value), &ce));
            }
        }
    }
    problems
}

fn br_address_of_ce(fleet: &Fleet, relay: usize, (owner, rule): (usize, usize), ce: &str) -> Problem {
    let (domain, holder) = (&fleet.domains()[relay], &fleet.domains()[owner]);
    let (address, conflicting) = (domain.softwire_address(), &holder.rules()[rule]);
    if relay < owner {
        return Problem {
            domain: holder.name().clone(),
            field: format!("spec.rules[{rule}].mapePrefix"),
            found: conflicting.mape_prefix().to_string(),
            allowed: "space without other domains' BR addresses".to_string(),
            why: format!("{ce} would have {address}, the softwireAddress of {}", domain.name()).into(),
            conflicts_with: Some(domain.name().clone()),
        };
    }
    Problem {
        domain: domain.name().clone(),
        field: "spec.softwireAddress".to_string(),
        found: address.to_string(),
        allowed: "an address that is no CE's".to_string(),
        why: format!("rule {} of {} gives it to {ce}", conflicting.name(), holder.name()).into(),
        conflicts_with: (relay != owner).then(|| holder.name().clone()),
    }
}

fn size(fleet: &Fleet) -> Option<Problem> {
    let rules = fleet.ipv4_index().entries().len();
    let cells = fleet.lookup_cells();
    let youngest = fleet.domains().last()?;
    let problem = |found: String, allowed: String, why: &'static str| Problem {
        domain: youngest.name().clone(),
        field: "spec.rules".to_string(),
        found,
        allowed,
        why: why.into(),
        conflicts_with: None,
    };
    if rules > MAX_RULES {
        let found = format!("{rules} rules in the whole fleet");
        return Some(problem(found, format!("0 to {MAX_RULES}"), "a relay's tables are bounded; make it two fleets"));
    }
    (cells > MAX_LOOKUP_CELLS).then(|| {
        let found = format!("rules that need {cells} cells of lookup table in the whole fleet");
        let why = "a relay's tables are bounded: each /24 with a longer rule in it takes 256 cells, each shared \
            /32 one cell for each PSID between its first and last; make it two fleets";
        problem(found, format!("0 to {MAX_LOOKUP_CELLS}"), why)
    })
}

impl Fleet {
    /// An upper bound of the cells (4 bytes each) that the relay's lookup tables need, without the fixed
    /// directory: 256 for each /16 and for each /24 that holds longer rules, up to eight for each rule where a /16
    /// or /24 is one flat table, and a cell for each PSID between the first and last of a shared /32.
    #[must_use]
    pub fn lookup_cells(&self) -> u64 {
        let mut blocks = BTreeSet::new();
        let mut bindings: BTreeMap<u128, (u32, u32, u8)> = BTreeMap::new();
        let mut cells = 0;
        for entry in self.ipv4_index().entries() {
            for length in [16, 24].into_iter().filter(|length| entry.length > *length) {
                blocks.insert((length, entry.start >> (128 - length)));
            }
            cells += 8;
            let (_, rule) = self.rule_at(entry.value);
            if let Some(psid) = rule.fixed_psid() {
                let spare = 16 - rule.layout().length();
                let (first, last) = (u32::from(psid.0) << spare, ((u32::from(psid.0) + 1) << spare) - 1);
                let span = bindings.entry(entry.start).or_insert((first, last, spare));
                *span = (span.0.min(first), span.1.max(last), span.2.min(spare));
            }
        }
        let spans = bindings.values().map(|(first, last, spare)| u64::from((last - first + 1) >> spare));
        cells + 256 * blocks.len() as u64 + spans.sum::<u64>()
    }
}

fn conflict(fleet: &Fleet, older: u32, younger: u32, field: &str, found: String, allowed: &str, why: &str) -> Problem {
    let ((older_domain, older_rule), (_, younger_rule)) = (fleet.place(older), fleet.place(younger));
    let (domain, _) = fleet.rule_at(younger);
    let older_name = fleet.domains()[older_domain].name();
    let place = if older_name == domain.name() {
        format!("spec.rules[{older_rule}]")
    } else {
        format!("spec.rules[{older_rule}] of {older_name}")
    };
    Problem {
        domain: domain.name().clone(),
        field: format!("spec.rules[{younger_rule}].{field}"),
        found,
        allowed: allowed.to_string(),
        why: format!("it clashes with {place}: {why}").into(),
        conflicts_with: (older_name != domain.name()).then(|| older_name.clone()),
    }
}
