//! `culvertctl`: the command line around the library of the same name.
#![forbid(unsafe_code)]

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use clap::Parser;
use culvertctl::{Answer, Cli, Failure, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
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
