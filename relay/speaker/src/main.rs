//! The speaker: announces what the relay in the same pod serves, by a BIRD that it configures and watches.
//!
//! ```text
//! run -> inputs (revision, fleet, passwords, the pod's network) -> plan (which sessions, which prefixes) -> render (bird.conf)
//!                                                                                                            |
//!     shared <- sessions (up? since when?) <- bird (control socket, log) <- keeper (BIRD, kept running) <----'
//!      |-> peers   a socket for the relay: which routers are up
//!      '-> admin   HTTP: /state, /metrics, /livez, /readyz, /startupz
//! leave: SIGTERM, step by step
//! trace: what becomes of a revision, for who looks at traces
//! offline: `culvert-speaker render`
//! ```
#![forbid(unsafe_code)]

mod admin;
mod bird;
mod cli;
mod host;
mod inputs;
mod keeper;
mod leave;
mod metrics;
mod offline;
mod peers;
mod plan;
mod render;
mod run;
mod sessions;
mod shared;
mod speaker;
mod state;
mod trace;

use std::process::ExitCode;

use clap::Parser;
use telemetry::Program;

use crate::cli::{Cli, Command, Options, Rendering};

const PROGRAM: Program =
    Program { name: "culvert-speaker", version: env!("CARGO_PKG_VERSION"), crates: &["culvert_speaker", "pod"] };

/// The box is not as it must be, as the relay says it.
const UNFIT: u8 = 4;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(options) => speak(*options),
        Command::Render(rendering) => print(&rendering),
        Command::Bird { parent, command } => {
            eprintln!("{}: {}", command.join(" "), bird::process::become_bird(parent, &command));
            ExitCode::FAILURE
        }
    }
}

fn speak(options: Options) -> ExitCode {
    let telemetry = match telemetry::start(&PROGRAM, options.log) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            // Nobody listens to log lines yet.
            eprintln!("culvert-speaker: {error}");
            return ExitCode::from(UNFIT);
        }
    };
    match run::run(options, telemetry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(UNFIT)
        }
    }
}

fn print(rendering: &Rendering) -> ExitCode {
    match offline::rendered(rendering) {
        Ok((text, missing)) => {
            missing.iter().for_each(|line| eprintln!("{line}"));
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(errors) => {
            errors.iter().for_each(|line| eprintln!("{line}"));
            ExitCode::from(3)
        }
    }
}
