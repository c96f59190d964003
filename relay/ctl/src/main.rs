//! `culvertctl`: the command line around the library of the same name.
#![forbid(unsafe_code)]

use std::{
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches};
use culvertctl::{Answer, Cli, Failure, run};

/// The name by which kubectl finds a plugin, and what people type then.
const PLUGIN: (&str, &str) = ("kubectl-culvert", "kubectl culvert");

fn main() -> ExitCode {
    let cli = parse().unwrap_or_else(|error| error.exit());
    let mut out = BufWriter::new(io::stdout().lock());
    let answer = run(cli, &mut out).and_then(|answer| out.flush().map(|()| answer).map_err(Failure::Stdout));
    match answer {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(failure) => {
            let _ = out.flush();
            failure.report()
        }
    }
}

/// Reads the command line; help and errors call the program as its user did.
fn parse() -> Result<Cli, clap::Error> {
    let called = std::env::args_os().next().unwrap_or_default();
    let is_plugin = Path::new(&called).file_name().is_some_and(|name| name == PLUGIN.0);
    let command = if is_plugin { Cli::command().bin_name(PLUGIN.1) } else { Cli::command() };
    Cli::from_arg_matches(&command.try_get_matches()?)
}
