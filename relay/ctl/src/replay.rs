//! `culvertctl replay`: what becomes of each packet of a capture?
//!
//! [`capture`] reads records, [`link`] finds the IP packet in them, the engine judges it, `sink` writes what comes
//! out, and `report` says so.

use std::io::{IsTerminal, Write};

use engine::{DropReason, Now};

use crate::{
    Answer,
    cli::ReplayArgs,
    failure::Failure,
    manifests,
    relay::{Outcome, Relay},
};

pub mod capture;
pub mod link;
pub mod pcap;
mod report;
mod sink;

use capture::{Capture, Record};
use link::Framed;
pub(crate) use report::Fate;
use report::Report;
use sink::Sink;

pub(crate) fn run(args: &ReplayArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    if args.input.as_os_str() == "-" && manifests::are_on_stdin(&args.manifests) {
        return Err(Failure::usage("the manifests and the capture cannot both come from standard input"));
    }
    let fleet = manifests::fleet(&args.manifests)?;
    let mut capture = Capture::open(&args.input)?;
    let mut sink = Sink::create(&args.output, &args.input, capture.is_nanosecond())?;
    let mut replay = Replay { relay: Relay::new(&fleet, args.relay), clock: 0, report: Report::new(out) };
    let read = capture.read(|record| replay.record(record, &mut sink));
    // What came out before a capture broke off is as good as the rest would be.
    if matches!(read, Ok(()) | Err(Failure::Capture(_))) {
        sink.finish()?;
        replay.report.summarize(std::io::stderr().is_terminal());
    }
    read.map(|()| Answer::Yes)
}

struct Replay<'o> {
    relay: Relay,
    /// The capture's time so far, in nanoseconds since 1970: it may go back in a capture, but not for an engine.
    clock: u64,
    report: Report<'o>,
}

impl Replay<'_> {
    fn record(&mut self, record: &Record<'_>, sink: &mut Sink) -> Result<(), Failure> {
        self.clock = self.clock.max(record.time);
        let packet = match link::unwrap(record.link, record.data) {
            Framed::Ip(packet) => packet,
            Framed::NotIp => return self.report.line(Fate::Punt(DropReason::NotForRelay), None, 0..0),
            Framed::CutShort => return self.report.line(Fate::Drop(DropReason::Truncated), None, 0..0),
        };
        let Outcome { verdict, domain, emitted } = self.relay.process(Now(self.clock), packet);
        let first = sink.count();
        for packet in emitted {
            sink.write(record.time, packet)?;
        }
        self.report.line(verdict.outcome.into(), domain, first..sink.count())
    }
}
