//! `culvert-operator`.

use std::process::ExitCode;

use clap::Parser;
use culvert_operator::{cli::Options, run::run};
use telemetry::Program;

const PROGRAM: Program =
    Program { name: "culvert-operator", version: env!("CARGO_PKG_VERSION"), crates: &["culvert_operator"] };

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no threads: {error}"));
    let begun = runtime.and_then(|runtime| {
        let telemetry = telemetry::start(&PROGRAM, options.log).map_err(|error| error.to_string())?;
        Ok((runtime, telemetry))
    });
    let (runtime, mut telemetry) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            eprintln!("culvert-operator: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(options, &mut telemetry));
    if let Err(error) = &ended {
        tracing::error!("{error:#}");
    }
    // What still runs must not act any more.
    runtime.shutdown_background();
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
