//! The border relay daemon: reads `MapDomain` manifests, and forwards what the kernel routes into its TUN device.
//!
//! ```text
//! run -> preflight (may this work here?) -> config (manifests) ----> relay (take a fleet, change it, stop)
//!                                       '-> revision (of a fleet) -'  |-> leaving    what was removed and is served on
//!                                                                     |-> plan       which routes and addresses a fleet wants
//!                                                                     |-> routers    next hops: those given, and peers that the speaker names
//!                                                                     |-> host       links, routes, rules: by netlink
//!                                                                     |-> obstacles  what a pod is missing
//!                                                                     |-> self_test  would it forward a packet now?
//!                                                                     '-> workers    one thread per TUN queue: read, engine, write
//!        admin (HTTP): metrics, state, livez, readyz, startupz
//!        capture (a socket): packets and their verdicts, for who may look
//!
//! probe -> a fleet of its own, and packets through its relays: what `helm test` runs
//! ```

mod admin;
mod capture;
mod cli;
mod config;
mod datagram;
mod failure;
mod host;
mod leaving;
mod metrics;
mod obstacles;
mod peers;
mod plan;
mod preflight;
mod probe;
mod relay;
mod revision;
mod routers;
mod run;
mod self_test;
mod shared;
mod state;
mod tun;
mod watchdog;
mod worker;
mod workers;

use std::process::ExitCode;

use clap::Parser;
use telemetry::Program;

use crate::{
    cli::{Cli, Command},
    failure::Failure,
};

const PROGRAM: Program =
    Program { name: "culvert-relay", version: env!("CARGO_PKG_VERSION"), crates: &["culvert_relay", "pod"] };

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => match telemetry::start(&PROGRAM, options.log) {
            Ok(telemetry) => run::run(*options, telemetry),
            Err(error) => return refuse(&error),
        },
        Command::Wait => run::wait(),
        Command::Capture(options) => {
            options.log.start(&PROGRAM);
            capture::run(&options)
        }
        Command::Probe(options) => {
            options.log.start(&PROGRAM);
            probe::run(options)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.log();
            failure.exit_code()
        }
    }
}

/// Nobody listens to log lines yet.
fn refuse(error: &telemetry::Error) -> ExitCode {
    eprintln!("culvert-relay: {error}");
    Failure::Host(error.to_string()).exit_code()
}
