//! Does the API server refuse what our code refuses, and take what it takes?
//!
//! CEL rules and schema say in the API server what [`crds`] says everywhere else, in another language. This sends the cases
//! of `crds/tests/specs.yaml`, and random specs, to a real API server (creations that it only tries, `dryRun`) and compares:
//! what it refuses our code refuses too; and what our code alone refuses is of the kinds that `alone.txt` lists. It fails on
//! any difference, on a kind that is not listed and on a listed one that was not met.
//!
//! It needs `KUBECONFIG`, and rights to make definitions and a namespace; `run` starts an API server of its own for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use mape::Problem;

mod cluster;
mod random;
mod scale;
#[path = "../../../crds/tests/support/specs.rs"]
mod specs;

use cluster::{Cluster, Verdict};
use specs::{By, Case, Specs};

/// How many random specs there are, unless `RANDOM_SPECS` says otherwise.
const RANDOM_SPECS: u64 = 1200;

/// The kinds of refusals that are ours alone.
const ALONE: &str = include_str!("../alone.txt");

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("api-agreement: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let cluster = Cluster::prepare().await?;
    let outcome = compare(&cluster).await;
    cluster.clean_up().await?;
    outcome
}

async fn compare(cluster: &Cluster) -> Result<()> {
    let specs = Specs::read();
    let mut tally = Tally::default();
    for case in &specs.cases {
        played(cluster, &specs, case, &mut tally).await?;
    }
    let online = specs.cases.iter().filter(|case| case.online_only).count();
    println!("{} cases of crds/tests/specs.yaml, {online} of them for a real API server only", specs.cases.len());
    let (number, seed) = (variable("RANDOM_SPECS", RANDOM_SPECS)?, variable("SEED", std::process::id().into())?);
    println!("{number} random specs, SEED={seed}");
    for at in 0..number {
        let (kind, changes) = random::spec(seed, at);
        let object = specs.object(kind, "random", &changes);
        let verdict = cluster.tries(&object).await?;
        tally.compare(&format!("{kind} {changes:?}"), &verdict, &specs::refusals(&object));
        if (at + 1) % 200 == 0 {
            println!("  {} of {number}", at + 1);
        }
    }
    for large in random::largest(&specs) {
        let verdict = cluster.tries(&large).await?;
        tally.compare(&format!("the largest {}", large["kind"]), &verdict, &specs::refusals(&large));
    }
    scale::check(cluster, &specs, &mut tally.differences).await?;
    tally.conclude()
}

/// Plays a case: who refuses it is known, and what is said.
async fn played(cluster: &Cluster, specs: &Specs, case: &Case, tally: &mut Tally) -> Result<()> {
    let object = specs.object(&case.kind, &case.name, &case.set);
    let verdict = match &case.was {
        Some(was) => cluster.tries_update(&specs.object(&case.kind, &case.name, was), &object).await?,
        None => cluster.tries(&object).await?,
    };
    let ours = specs::refusals(&object);
    let what = format!("{} {} {:?}", case.kind, case.name, case.set);
    let expected = match case.refused {
        None => verdict.is_ok() && ours.is_empty(),
        Some(By::Cel | By::Schema) => verdict.as_ref().is_err_and(|said| said.contains(&case.says)),
        Some(By::Rust) => verdict.is_ok() && ours.iter().any(|it| it.to_string().contains(&case.says)),
    };
    if !expected {
        tally.differences.push(format!(
            "{what}: expected {:?} `{}`\n{}",
            case.refused,
            case.says,
            both(&verdict, &ours)
        ));
    }
    if !case.transition {
        tally.compare(&what, &verdict, &ours);
    }
    Ok(())
}

/// What came out so far.
#[derive(Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    /// How often each kind was refused by our code alone.
    alone: BTreeMap<String, u64>,
    differences: Vec<String>,
}

impl Tally {
    fn compare(&mut self, what: &str, verdict: &Verdict, ours: &[Problem]) {
        match (verdict, ours) {
            (Ok(()), []) => self.accepted += 1,
            (Err(_), [_, ..]) => self.refused += 1,
            (Err(said), []) => self.differences.push(format!("{what}: the API server alone refuses it: {said}")),
            (Ok(()), problems) => {
                for kind in problems.iter().map(kind) {
                    if !ALONE.lines().any(|line| line == kind) {
                        self.differences.push(format!("{what}: ours alone, and not in alone.txt: {kind}"));
                    }
                    *self.alone.entry(kind).or_default() += 1;
                }
            }
        }
    }

    fn conclude(self) -> Result<()> {
        let Self { accepted, refused, alone, mut differences } = self;
        println!("both accept {accepted}, both refuse {refused}; ours alone, by kind:");
        alone.iter().for_each(|(kind, times)| println!("  {times:>5}  {kind}"));
        let listed = ALONE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let unmet: BTreeSet<&str> = listed.filter(|kind| !alone.contains_key(*kind)).collect();
        differences.extend(unmet.iter().map(|kind| format!("alone.txt lists what was not met: {kind}")));
        if differences.is_empty() {
            println!("the API server and our code agree");
            return Ok(());
        }
        bail!("{} differences:\n{}", differences.len(), differences.join("\n"))
    }
}

/// The field without its indexes and keys, and what is allowed, with `#` for numbers.
fn kind(problem: &Problem) -> String {
    let maps = ["labels", "annotations", "nodeSelector"];
    let field = maps.iter().find_map(|map| Some(&problem.field[..problem.field.find(map)? + map.len()]));
    let field = numbers(field.unwrap_or(&problem.field)).replace("[#]", "[]");
    format!("{field}: {}", numbers(&problem.allowed))
}

/// `#` for every number, but for those behind a letter: they are part of a word.
fn numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let last = out.chars().last().unwrap_or(' ');
        match c {
            '0'..='9' if last == '#' => {}
            '0'..='9' if !last.is_ascii_alphanumeric() => out.push('#'),
            c => out.push(c),
        }
    }
    out
}

fn both(verdict: &Verdict, ours: &[Problem]) -> String {
    let ours = ours.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    format!("  the API server: {}\n  ours: {ours}", verdict.as_ref().err().map_or("takes it", String::as_str))
}

fn variable(name: &str, default: u64) -> Result<u64> {
    let Ok(text) = std::env::var(name) else { return Ok(default) };
    text.parse().with_context(|| format!("{name} is a number, and not `{text}`"))
}
