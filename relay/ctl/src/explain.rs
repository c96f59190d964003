//! `culvertctl explain`: what becomes of one packet, and why?
//!
//! The verdict is the engine's. The sentences follow from it and from the rules: [`story`] never judges by itself.

use std::io::{self, Write};

use engine::Now;
use mape::Fleet;
use serde::Serialize;

use crate::{
    Answer,
    cli::{ExplainArgs, Output, RelayArgs},
    failure::Failure,
    manifests,
    relay::{Outcome, Relay},
    replay::Fate,
    text,
};

mod anatomy;
mod args;
mod build;
mod story;
#[cfg(test)]
mod tests;

pub(crate) use args::PacketArgs;

pub(crate) fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    let fleet = manifests::fleet(&args.manifests)?;
    let packet = build::packet(&args.packet, &fleet).map_err(Failure::Usage)?;
    let explanation = explain(&fleet, args.relay, &packet);
    let printed = match args.output {
        Output::Text => explanation.print(out),
        Output::Json => text::json(out, &explanation),
    };
    printed.map_err(Failure::stdout)?;
    Ok(if explanation.verdict == Fate::Emit.word() { Answer::Yes } else { Answer::No })
}

/// What became of a packet, and why.
#[derive(Debug, Serialize)]
struct Explanation {
    packet: String,
    verdict: &'static str,
    reason: Option<&'static str>,
    domain: Option<String>,
    steps: Vec<String>,
    emitted: Vec<Emitted>,
}

#[derive(Debug, Serialize)]
struct Emitted {
    packet: String,
    /// Its bytes, in hex.
    bytes: String,
}

/// Lets the engine judge `packet`, and says why it did so.
fn explain(fleet: &Fleet, args: RelayArgs, packet: &[u8]) -> Explanation {
    let mut relay = Relay::new(fleet, args);
    let Outcome { verdict, domain, emitted } = relay.process(Now(0), packet);
    let fate = Fate::from(verdict.outcome);
    let emitted: Vec<&[u8]> = emitted;
    Explanation {
        packet: anatomy::describe(packet),
        verdict: fate.word(),
        reason: fate.reason(),
        domain: domain.map(String::from),
        steps: story::tell(fleet, packet, verdict, &emitted),
        emitted: emitted.iter().map(|packet| Emitted::new(packet)).collect(),
    }
}

impl Emitted {
    fn new(packet: &[u8]) -> Self {
        let bytes = packet.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { packet: anatomy::describe(packet), bytes }
    }
}

impl Explanation {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}\n", self.packet)?;
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(out, "{number:>2}. {step}")?;
        }
        writeln!(out, "\nVerdict: {}", self.verdict_text())?;
        self.emitted.iter().try_for_each(|emitted| writeln!(out, "Out: {}", emitted.packet))
    }

    fn verdict_text(&self) -> String {
        let domain = self.domain.as_ref().map_or(String::new(), |domain| format!(", counted for {domain}"));
        match self.reason {
            Some(reason) => format!("{} as {reason}{domain}", self.verdict),
            None => format!("{}{domain}", self.verdict),
        }
    }
}
