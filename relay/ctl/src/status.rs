//! `culvertctl status`: the fleets of a namespace on one screen, as the operator last saw them.

use std::io::{self, Write};

use serde::Serialize;

mod domain;
mod fleet;
#[cfg(test)]
mod tests;
mod trouble;

use crate::{
    Answer,
    cli::{Output, StatusArgs},
    cluster::Cluster,
    failure::Failure,
    text,
};
use fleet::Fleet;

pub(crate) fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    let cluster = Cluster::new(&args.kube);
    let mut fleets = cluster.fleets(args.all_namespaces)?;
    if let Some(name) = &args.fleet {
        fleets.retain(|fleet| fleet.metadata.name.as_ref() == Some(name));
        if fleets.is_empty() {
            return Err(Failure::Fleet(format!("there is no BorderRelay {name} in this namespace")));
        }
    }
    let domains = cluster.domains(args.all_namespaces)?;
    let mut status = Status::new(&fleets, &domains);
    if args.rates {
        status.fleets.iter_mut().try_for_each(|fleet| fleet.measure(&cluster))?;
    }
    let printed = match args.output {
        Output::Text => status.print(out),
        Output::Json => text::json(out, &status),
    };
    printed.map_err(Failure::stdout)?;
    Ok(if status.is_well() { Answer::Yes } else { Answer::No })
}

/// What there is to tell.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    fleets: Vec<Fleet>,
    /// Domains whose fleets are not there.
    domains_without_fleet: Vec<domain::Domain>,
}

impl Status {
    fn new(fleets: &[crds::BorderRelay], domains: &[crds::MapDomain]) -> Self {
        let served = |domain: &&crds::MapDomain| fleets.iter().any(|fleet| fleet::serves(fleet, domain));
        let orphans = domains.iter().filter(|domain| !served(domain)).map(domain::Domain::new);
        Self {
            fleets: fleets.iter().map(|fleet| Fleet::new(fleet, domains)).collect(),
            domains_without_fleet: orphans.collect(),
        }
    }

    fn is_well(&self) -> bool {
        self.domains_without_fleet.is_empty() && self.fleets.iter().all(Fleet::is_well)
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.fleets.is_empty() {
            writeln!(out, "no BorderRelay here: -n NAMESPACE or -A look elsewhere")?;
        }
        for (place, fleet) in self.fleets.iter().enumerate() {
            if place > 0 {
                writeln!(out)?;
            }
            fleet.print(out)?;
        }
        if !self.domains_without_fleet.is_empty() {
            writeln!(out, "\nDomains without a fleet")?;
            domain::print(out, &self.domains_without_fleet)?;
        }
        Ok(())
    }
}
