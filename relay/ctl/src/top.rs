//! `culvertctl top`: how fast relays forward now, and what they drop.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    thread::sleep,
    time::Duration,
};

use jiff::Timestamp;

mod rates;
mod screen;

pub(crate) use rates::Row;
pub(crate) use screen::short;

use crate::{
    Answer,
    cli::{By, Output, TopArgs},
    cluster::{LiveFleet, relay},
    failure::Failure,
};
use rates::Rates;

/// Up and left, and everything below away.
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(crate) fn run(args: &TopArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    let fleet = LiveFleet::find(&args.fleet)?;
    let clears = args.output == Output::Text && !args.once && io::stdout().is_terminal();
    let mut before = look(&fleet)?;
    loop {
        sleep(Duration::from_secs(args.interval.into()));
        let now = look(&fleet)?;
        let rates = Rates::between(&before, &now, args.by);
        let printed = match args.output {
            Output::Text => screen::print(out, &fleet, Timestamp::now(), &rates, if clears { CLEAR } else { "" }),
            Output::Json => line(out, &rates),
        };
        printed.and_then(|()| out.flush()).map_err(Failure::stdout)?;
        if args.once {
            return Ok(Answer::Yes);
        }
        before = now;
    }
}

/// What each domain of a fleet does in the second that this takes.
pub(crate) fn measure(fleet: &LiveFleet) -> Result<BTreeMap<String, Row>, Failure> {
    let before = look(fleet)?;
    sleep(Duration::from_secs(1));
    Ok(Rates::between(&before, &look(fleet)?, By::Domain).rows)
}

/// Asks all relays; at least one has to answer. Those that come and go are looked for each time.
fn look(fleet: &LiveFleet) -> Result<Vec<relay::Answer>, Failure> {
    let mut answers = fleet.ask()?;
    if answers.is_empty() {
        return Err(Failure::Fleet(format!("no relay of fleet {}/{} runs", fleet.namespace, fleet.name)));
    }
    if answers.iter().all(|answer| answer.state.is_err()) {
        return Err(answers.swap_remove(0).state.expect_err("all of them are"));
    }
    Ok(answers)
}

/// One line of JSON for each look.
fn line(out: &mut dyn Write, rates: &Rates) -> io::Result<()> {
    serde_json::to_writer(&mut *out, rates)?;
    writeln!(out)
}
