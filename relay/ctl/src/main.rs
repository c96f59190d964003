//! `culvertctl`: what a border relay does with a configuration, an address or a packet, without a relay.
//!
//! | module | command |
//! |---|---|
//! | [`check`] | are these manifests valid, and what follows from them? |
//! | [`map`] | who owns this IPv4 address and port, or this IPv6 prefix? |
//! | [`replay`] | what becomes of each packet of a capture? |
//! | [`explain`] | what becomes of one packet, and why? |
//! | [`import`] | what does a Junos configuration say as manifests? |
//!
//! All but the last read the manifests that the operator and the relay read, through [`manifests`]; `replay` and `explain`
//! drive the engine that the relay runs, through [`relay`].
#![forbid(unsafe_code)]

mod check;
mod cli;
mod explain;
mod failure;
#[cfg(test)]
mod fixtures;
mod import;
mod manifests;
mod map;
mod relay;
mod replay;
mod text;

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use clap::Parser;

use cli::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = BufWriter::new(io::stdout().lock());
    let answer = run(cli.command, &mut out).and_then(|answer| out.flush().map(|()| answer).map_err(Failure::stdout));
    match answer {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(failure) => {
            let _ = out.flush();
            failure.report()
        }
    }
}

/// What the exit code says of a question that could be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

fn run(command: Command, out: &mut dyn Write) -> Result<Answer, Failure> {
    match command {
        Command::Check(args) => check::run(&args, out),
        Command::Map(args) => map::run(&args, out),
        Command::Replay(args) => replay::run(&args, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Import(args) => import::run(&args, out),
    }
}
