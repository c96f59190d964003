//! `culvertctl map`: who owns this IPv4 address and port, or this IPv6 prefix?

use std::io::{self, Write};

use mape::Fleet;

use crate::{
    Answer,
    cli::{MapArgs, Output},
    failure::Failure,
    manifests, text,
};

pub(crate) mod answer;
mod batch;
mod found;
mod question;
pub(crate) mod refusal;

use found::Found;
use question::Question;

pub(crate) fn run(args: &MapArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    if args.batch && manifests::are_on_stdin(&args.manifests) {
        return Err(Failure::usage("--batch reads queries from standard input: -f - cannot read it too"));
    }
    let Some(query) = &args.query else {
        return batch::run(&manifests::fleet(&args.manifests)?, out);
    };
    let question: Question = query.parse().map_err(Failure::Usage)?;
    let fleet = manifests::fleet(&args.manifests)?;
    answer_one(&fleet, question, args.output, out).map_err(Failure::stdout)
}

fn answer_one(fleet: &Fleet, question: Question, output: Output, out: &mut dyn Write) -> io::Result<Answer> {
    match (Found::look_up(fleet, question), output) {
        (Ok(found), Output::Text) => found.print(out).map(|()| Answer::Yes),
        (Ok(found), Output::Json) => text::json(out, &found.json()).map(|()| Answer::Yes),
        (Err(refused), Output::Text) => writeln!(out, "{}", refused.why).map(|()| Answer::No),
        (Err(refused), Output::Json) => text::json(out, &refused).map(|()| Answer::No),
    }
}

/// The answer of `--batch` to one line, for tests.
#[cfg(test)]
pub(crate) fn batch_answer(fleet: &Fleet, line: &str) -> String {
    batch::answer(fleet, line)
}
