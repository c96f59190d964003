//! `culvert-operator`.

use std::process::ExitCode;

use clap::Parser;
use culvert_operator::{cli::Options, run::run, telemetry};

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("culvert-operator: no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        let _telemetry = telemetry::start(options.log_format, options.log_level).map_err(anyhow::Error::msg)?;
        let ended = run(options).await;
        if let Err(error) = &ended {
            tracing::error!("{error:#}");
        }
        ended
    });
    // What still runs must not act any more.
    runtime.shutdown_background();
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
