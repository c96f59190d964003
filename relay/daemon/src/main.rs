//! The border relay daemon: reads `MapDomain` manifests, and forwards what the kernel routes into its TUN device.
//!
//! ```text
//! run -> preflight (may this work here?) -> config (load, watch) -> relay (activate a fleet, reload it, stop)
//!                                                                     |-> plan     which routes and addresses a fleet wants
//!                                                                     |-> host     links, routes, rules: by netlink
//!                                                                     '-> workers  one thread per TUN queue: read, engine, write
//!        admin (HTTP): metrics, state, livez, readyz
//! ```

mod admin;
mod cli;
mod config;
mod failure;
mod host;
mod log;
mod metrics;
mod plan;
mod preflight;
mod relay;
mod run;
mod shared;
mod state;
mod tun;
mod watch;
mod worker;
mod workers;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let Command::Run(options) = Cli::parse().command;
    log::start(options.log_format, options.log_level);
    match run::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.log();
            failure.exit_code()
        }
    }
}
