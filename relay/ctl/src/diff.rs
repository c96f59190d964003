//! `culvertctl diff`: do relays forward by what is written?
//!
//! On one side are specs, of the domains in the cluster or of manifests; on the other is the fleet's revision. [`fields`] compares
//! what they say, [`relays`] the revision with what each relay holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use crds::{
    MapDomain, Revision,
    manifest::{self, Loaded},
    revision::Domain,
};
use serde::Serialize;

mod fields;
mod relays;

use crate::{
    Answer,
    cli::{DiffArgs, Output},
    cluster::LiveFleet,
    failure::Failure,
    manifests, text,
};
use fields::Field;
use relays::Relay;

/// A revision's domains.
type Held<'r> = BTreeMap<&'r str, &'r Domain>;

/// The namespace of a manifest that names none.
const NO_NAMESPACE: &str = "default";

pub(crate) fn run(args: &DiffArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    compare(args, out).map_err(|failure| Failure::Trouble(Box::new(failure)))
}

fn compare(args: &DiffArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    let fleet = LiveFleet::find(&args.fleet)?;
    let revision = fleet.revision()?;
    let (held, hash) = (by_name(&revision), revision.hash());
    let (changes, relays) = if args.files.is_empty() {
        let objects = fleet.domains()?;
        let mut changes = changes(&held, specs(&objects));
        changes.extend(removed(&held, objects.iter().filter_map(|object| object.metadata.name.as_deref())));
        (changes, fleet.ask()?.iter().map(|answer| Relay::new(answer, &revision, &hash, &fleet)).collect())
    } else {
        (changes(&held, in_files(&fleet, &load(args)?)?), Vec::new())
    };
    let difference = Difference { fleet: fleet.name, revision: revision.sequence, hash, changes, relays };
    let printed = match args.output {
        Output::Text => difference.print(out),
        Output::Json => text::json(out, &difference),
    };
    printed.map_err(Failure::stdout)?;
    Ok(if difference.is_none() { Answer::Yes } else { Answer::No })
}

/// What differs.
#[derive(Debug, Serialize)]
struct Difference {
    fleet: String,
    revision: u64,
    hash: String,
    /// From the revision to the specs.
    changes: Vec<Change>,
    relays: Vec<Relay>,
}

/// What would become of a domain if the revision were made anew.
#[derive(Debug, Serialize)]
struct Change {
    domain: String,
    kind: Kind,
    /// Why the spec is not what the fleet forwards by, where the operator says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Kind {
    Added,
    Removed,
    Changed,
}

/// A domain as it is written.
struct Written {
    name: String,
    /// `Err`: it makes no sense.
    spec: Result<Domain, String>,
    /// What keeps it from the fleet, as the operator says.
    why: Option<String>,
}

fn load(args: &DiffArgs) -> Result<Loaded, Failure> {
    manifest::load(&args.files).map_err(|errors| manifests::report(&errors))
}

/// The domains in the files that are for that fleet.
fn in_files(fleet: &LiveFleet, loaded: &Loaded) -> Result<Vec<Written>, Failure> {
    let here = |namespace: &str| namespace == fleet.namespace || namespace == NO_NAMESPACE;
    let ours =
        loaded.domains.iter().filter(|it| here(&it.config.name.namespace) && it.relay_refs.contains(&fleet.name));
    let written = ours.map(|it| Written { name: it.config.name.name.clone(), spec: Ok(it.into()), why: None });
    let written: Vec<Written> = written.collect();
    if written.is_empty() {
        let LiveFleet { namespace, name, .. } = fleet;
        return Err(Failure::Fleet(format!(
            "no domain in the files is in namespace {namespace} and names fleet {name}"
        )));
    }
    Ok(written)
}

fn specs(domains: &[MapDomain]) -> Vec<Written> {
    let written = |object: &MapDomain| Written {
        name: object.metadata.name.clone().unwrap_or_default(),
        spec: Domain::try_from(object).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            problems.join("; ")
        }),
        why: object.status.iter().flat_map(|status| &status.conditions).find_map(|condition| {
            let refused = condition.type_ == "Accepted" && condition.status != "True";
            refused.then(|| format!("{}: {}", condition.reason, condition.message))
        }),
    };
    domains.iter().map(written).collect()
}

/// A fleet's domains are all in its namespace.
fn by_name(revision: &Revision) -> Held<'_> {
    revision.domains.iter().map(|domain| (&*domain.config.name.name, domain)).collect()
}

/// What is held and nobody wrote.
fn removed<'w>(held: &Held<'_>, written: impl Iterator<Item = &'w str>) -> Vec<Change> {
    let written: BTreeSet<&str> = written.collect();
    let gone = held.keys().filter(|name| !written.contains(**name));
    let change =
        |name: &&str| Change { domain: (*name).to_owned(), kind: Kind::Removed, why: None, fields: Vec::new() };
    gone.map(change).collect()
}

/// What the specs say that the revision does not.
fn changes(held: &Held<'_>, specs: Vec<Written>) -> Vec<Change> {
    let change = |Written { name, spec, why }: Written| {
        let before = held.get(&*name);
        let fields = match (&spec, before) {
            (Ok(spec), Some(before)) => fields::compare(&before.spec(), &spec.spec()),
            _ => Vec::new(),
        };
        let kind = if before.is_some() { Kind::Changed } else { Kind::Added };
        let same = before.is_some() && spec.is_ok() && fields.is_empty();
        (!same).then(|| Change { domain: name, kind, why: why.or(spec.err()), fields })
    };
    let mut changes: Vec<Change> = specs.into_iter().filter_map(change).collect();
    changes.sort_by(|a, b| a.domain.cmp(&b.domain));
    changes
}

impl Change {
    /// `left` is what the spec is compared with.
    fn print(&self, out: &mut dyn Write, indent: &str, left: &str) -> io::Result<()> {
        let Self { domain, kind, why, fields } = self;
        let (sign, word) = match kind {
            Kind::Added => ('+', "not in"),
            Kind::Removed => ('-', "only in"),
            Kind::Changed => ('~', "differs from"),
        };
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        writeln!(out, "{indent}{sign} {domain}: {word} {left}{why}")?;
        for Field { field, from, to } in fields {
            let [from, to] = [from, to].map(fields::shown);
            writeln!(out, "{indent}    {field}: {from} -> {to}")?;
        }
        Ok(())
    }
}

impl Difference {
    fn is_none(&self) -> bool {
        self.changes.is_empty() && self.relays.iter().all(Relay::is_same)
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { fleet, revision, hash, changes, relays } = self;
        writeln!(out, "Fleet {fleet}, revision {revision} ({hash:.12})")?;
        changes.iter().try_for_each(|change| change.print(out, "", "the revision"))?;
        if changes.is_empty() {
            writeln!(out, "The domains are the revision's")?;
        }
        relays.iter().try_for_each(|relay| relay.print(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "apiVersion: culvert.dev/v1alpha1
kind: MapDomain
metadata: {name: isp-a, namespace: isps}
spec:
  softwireAddress: \"3001:db8:ffff::1\"
  rules:
  - {name: r1, ipv4Prefix: 67.91.205.0/24, mapePrefix: \"2001:db8:ce::/48\", eaBitsLength: 16, psidOffset: 4}
  - {name: r2, ipv4Prefix: 67.91.206.0/24, mapePrefix: \"2001:db8:cf::/48\", eaBitsLength: 16, psidOffset: 4}
";

    fn domains(text: &str) -> Vec<Domain> {
        manifest::parse("m.yaml", text).unwrap().domains.iter().map(Domain::from).collect()
    }

    /// What is printed of one spec against the seed's revision.
    fn against_the_seed(text: &str, why: Option<&str>) -> String {
        let revision = Revision { fleet: "isps/f".into(), sequence: 12, domains: domains(SEED), traceparent: None };
        let written = |domain: Domain| Written {
            name: domain.config.name.name.clone(),
            spec: Ok(domain),
            why: why.map(str::to_owned),
        };
        let changes = changes(&by_name(&revision), domains(text).into_iter().map(written).collect());
        let difference = Difference { fleet: "f".into(), revision: 12, hash: "ab".into(), changes, relays: Vec::new() };
        let mut out = Vec::new();
        difference.print(&mut out).unwrap();
        String::from_utf8(out).unwrap().replace("Fleet f, revision 12 (ab)\n", "")
    }

    #[test]
    fn a_default_that_is_written_out_is_no_difference() {
        let said = against_the_seed(&(SEED.to_owned() + "  hairpin: Enabled\n  fragmentation: Inner\n"), None);
        assert_eq!(said, "The domains are the revision's\n");
        let order = SEED.replace("r1", "r0").replace("r2", "r1").replace("r0", "r2");
        assert!(against_the_seed(&order, None).contains("rules[r1].ipv4Prefix: 67.91.205.0/24 -> 67.91.206.0/24"));
    }

    #[test]
    fn fields_are_named() {
        let text = SEED.replace("psidOffset: 4}\n", "psidOffset: 6}\n").replacen("psidOffset: 6", "psidOffset: 4", 1)
            + "  mtu: {v6: 1460}\n";
        let expected = "~ isp-a: differs from the revision
    mtu.v6: 1500 -> 1460
    rules[r2].psidOffset: 4 -> 6
";
        assert_eq!(against_the_seed(&text, None), expected);
        let (fewer, _) = SEED.rsplit_once("  - ").unwrap();
        let said = against_the_seed(fewer, None);
        assert!(said.contains("rules[r2]: {") && said.ends_with("} -> (none)\n"), "{said}");
    }

    #[test]
    fn what_the_fleet_does_not_have_comes_with_the_reason() {
        let said = against_the_seed(&SEED.replace("isp-a", "isp-b"), Some("NotAllowed: no"));
        assert_eq!(said, "+ isp-b: not in the revision: NotAllowed: no\n");
    }
}
