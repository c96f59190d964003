//! Reading domains: from manifests, or from what a fleet in a cluster forwards by.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use crds::{
    Revision,
    manifest::{self, Error, Loaded},
};
use mape::Fleet;

use crate::{
    cli::{FleetArgs, LiveArgs, Manifests},
    cluster::LiveFleet,
    failure::Failure,
};

/// The domains that a command is about, checked together.
pub(crate) fn fleet(args: &Manifests) -> Result<Fleet, Failure> {
    match live(&args.live)? {
        Some(live) => compile(&live),
        None => Ok(load(&args.files)?.fleet),
    }
}

/// The revision of the fleet in the cluster, if one is asked for.
pub(crate) fn live(args: &LiveArgs) -> Result<Option<Revision>, Failure> {
    let LiveArgs { fleet, kube } = args.clone();
    if fleet.is_none() {
        return Ok(None);
    }
    LiveFleet::find(&FleetArgs { fleet, kube })?.revision().map(Some)
}

/// What a revision means. An operator writes none that means nothing.
pub(crate) fn compile(revision: &Revision) -> Result<Fleet, Failure> {
    revision.compile().map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(|problem| format!("{}: {problem}", problem.domain)).collect();
        Failure::Fleet(format!("revision {} of {}: {}", revision.sequence, revision.fleet, problems.join("; ")))
    })
}

/// Whether the manifests, or some of them, come from the standard input.
pub(crate) fn are_on_stdin(args: &Manifests) -> bool {
    args.files.iter().any(|file| file.as_os_str() == "-")
}

/// The fleet that the manifests describe; or every error in them, each on a line of standard error.
pub(crate) fn load(files: &[PathBuf]) -> Result<Loaded, Failure> {
    manifest::load(files).map_err(|errors| report(&errors))
}

/// Prints the errors.
pub(crate) fn report(errors: &[Error]) -> Failure {
    let mut stderr = io::stderr().lock();
    for error in errors {
        let _ = writeln!(stderr, "{error}");
    }
    Failure::Manifests { count: errors.len() }
}
