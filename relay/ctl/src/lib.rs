//! What `culvertctl` does with a configuration, an address or a packet, without a relay; and with fleets in a cluster.
//!
//! | module | command |
//! |---|---|
//! | `check` | are these manifests valid, and what follows from them? |
//! | `map` | who owns this IPv4 address and port, or this IPv6 prefix? |
//! | [`replay`] | what becomes of each packet of a capture? |
//! | `explain` | what becomes of one packet, and why? |
//! | [`import`] | what does a Junos configuration say as manifests? |
//! | `status` | how are the fleets, their relays and domains? |
//! | `top` | how fast do relays forward, and what do they drop? |
//! | `diff` | do relays forward by what is written? |
//! | `capture` | which packets come to a relay, and what becomes of each? |
//! | `history` | which revision did a relay forward by, and since when? |
//!
//! The first four read the manifests that the operator and the relay read, or a fleet's revision, through `manifests`; `replay` and
//! `explain` drive the engine that the relay runs, through `relay`. Clusters are reached through `cluster`, which runs kubectl. What reads
//! other people's files is public, for the fuzzer.
#![forbid(unsafe_code)]

use std::io::Write;

mod capture;
mod check;
mod cli;
mod cluster;
mod diff;
mod explain;
mod failure;
#[cfg(test)]
mod fixtures;
mod history;
pub mod import;
mod manifests;
mod map;
mod relay;
pub mod replay;
mod status;
mod text;
mod top;

pub use cli::Cli;
pub use failure::Failure;

use cli::Command;

/// What the exit code says of a question that could be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Exit code 0.
    Yes,
    /// Exit code 1.
    No,
}

/// Does what the command line asks for, and prints the answer to `out`.
///
/// # Errors
/// Why it could not answer.
pub fn run(cli: Cli, out: &mut dyn Write) -> Result<Answer, Failure> {
    match cli.command {
        Command::Check(args) => check::run(&args, out),
        Command::Map(args) => map::run(&args, out),
        Command::Replay(args) => replay::run(&args, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Import(args) => import::run(&args, out),
        Command::Status(args) => status::run(&args, out),
        Command::Top(args) => top::run(&args, out),
        Command::Capture(args) => capture::run(&args),
        Command::Diff(args) => diff::run(&args, out),
        Command::History(args) => history::run(&args, out),
    }
}
