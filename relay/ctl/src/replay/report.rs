//! One JSON line for each packet, and a summary at the end.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    ops::Range,
};

use engine::{DropReason, Outcome};
use serde::Serialize;

use crate::{failure::Failure, text};

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Emit,
    Drop(DropReason),
    Hold,
    Punt(DropReason),
}

impl From<Outcome> for Fate {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Emit | Outcome::Joined => Self::Emit,
            Outcome::Drop { reason, .. } => Self::Drop(reason),
            Outcome::Hold => Self::Hold,
            Outcome::Punt(reason) => Self::Punt(reason),
        }
    }
}

impl Fate {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Emit => "emit",
            Self::Drop(_) => "drop",
            Self::Hold => "hold",
            Self::Punt(_) => "punt",
        }
    }

    pub(crate) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Drop(reason) | Self::Punt(reason) => Some(reason.word()),
            Self::Emit | Self::Hold => None,
        }
    }
}

/// A line about one packet.
#[derive(Serialize)]
struct Line<'d> {
    packet: u64,
    verdict: &'static str,
    reason: Option<&'static str>,
    domain: Option<&'d str>,
    emitted: Vec<u64>,
}

pub(super) struct Report<'o> {
    out: &'o mut dyn Write,
    packets: u64,
    emitted: u64,
    fates: BTreeMap<Fate, u64>,
    /// Nobody reads our lines any more, as after `head`; the capture is written all the same.
    unread: bool,
    shows_progress: bool,
}

/// How many packets go by between two signs of life on a terminal.
const PROGRESS: u64 = 1 << 15;

impl<'o> Report<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Self {
        let shows_progress = io::stderr().is_terminal() && !io::stdout().is_terminal();
        Self { out, packets: 0, emitted: 0, fates: BTreeMap::new(), unread: false, shows_progress }
    }

    /// Says what became of the next packet; `emitted` are the places of what it caused, from 0.
    pub(super) fn line(&mut self, fate: Fate, domain: Option<&str>, emitted: Range<u64>) -> Result<(), Failure> {
        self.packets += 1;
        self.emitted += emitted.end - emitted.start;
        *self.fates.entry(fate).or_default() += 1;
        if self.shows_progress && self.packets.is_multiple_of(PROGRESS) {
            let _ = write!(io::stderr(), "\r{} packets", self.packets);
        }
        let emitted = emitted.map(|place| place + 1).collect();
        let line = Line { packet: self.packets, verdict: fate.word(), reason: fate.reason(), domain, emitted };
        self.print(&line).map_err(Failure::stdout)
    }

    /// How many packets went which way, on standard error.
    pub(super) fn summarize(&self, is_terminal: bool) {
        let lead = if is_terminal && self.packets >= PROGRESS { "\r" } else { "" };
        let (read, written) = (text::count(self.packets, "packet"), text::count(self.emitted, "packet"));
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "{lead}{read} in, {written} out");
        for (fate, count) in &self.fates {
            let _ = writeln!(stderr, "{count:>10}  {} {}", fate.word(), fate.reason().unwrap_or_default());
        }
    }

    fn print(&mut self, line: &Line<'_>) -> io::Result<()> {
        if self.unread {
            return Ok(());
        }
        let printed = serde_json::to_writer(&mut *self.out, line).map_err(io::Error::from);
        match printed.and_then(|()| self.out.write_all(b"\n")) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.unread = true,
            other => other?,
        }
        Ok(())
    }
}
