//! What became of the records that were sent in a window.

use serde::Serialize;

use crate::way::{Gap, Moment, Way};

const SHOWN: usize = 20;

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) window: String,
    pub(crate) seconds: f64,
    pub(crate) sent_from_ce: usize,
    pub(crate) sent_to_ce: usize,
    pub(crate) lost: usize,
    /// The longest gap of any flow, from the last datagram that came before to the first that came afterwards.
    pub(crate) outage_milliseconds: f64,
    /// The longest time without an arrival on any flow of datagrams, this machine's pauses included.
    pub(crate) silence_milliseconds: f64,
    pub(crate) late: u64,
    pub(crate) twice: u64,
    pub(crate) damaged: u64,
    /// The longest gaps.
    pub(crate) gaps: Vec<GapOfFlow>,
    pub(crate) connections: Connections,
}

/// The same of TCP.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connections {
    pub(crate) sent: usize,
    pub(crate) missing: usize,
    pub(crate) silence_milliseconds: f64,
    pub(crate) broken: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GapOfFlow {
    flow: String,
    #[serde(flatten)]
    gap: Gap,
    /// Since the window began; less than nothing if that was before.
    at_milliseconds: f64,
    outage_milliseconds: f64,
}

impl Report {
    /// Adds the numbers `first..end` of a direction of a flow of datagrams.
    pub(crate) fn add_datagrams(&mut self, name: &str, way: &Way, (first, end): (usize, usize), began: Moment) {
        self.silence_milliseconds = self.silence_milliseconds.max(milliseconds(way.silence(first, end)));
        for gap in way.gaps(first, end) {
            self.lost += gap.lost;
            let outage = milliseconds(gap.outage);
            self.outage_milliseconds = self.outage_milliseconds.max(outage);
            let at_milliseconds = (gap.sent as f64 - began as f64) / 1e6;
            self.gaps.push(GapOfFlow { flow: name.to_owned(), gap, at_milliseconds, outage_milliseconds: outage });
        }
        self.count(way);
    }

    pub(crate) fn add_connection(&mut self, way: &Way, (first, end): (usize, usize)) {
        let connections = &mut self.connections;
        connections.sent += end - first;
        connections.missing += way.missing(first, end);
        connections.silence_milliseconds = connections.silence_milliseconds.max(milliseconds(way.silence(first, end)));
        self.count(way);
    }

    fn count(&mut self, way: &Way) {
        self.late += way.late;
        self.twice += way.twice;
        self.damaged += way.damaged;
    }

    /// Leaves the longest gaps.
    pub(crate) fn shorten(&mut self) {
        self.gaps.sort_by(|one, other| other.outage_milliseconds.total_cmp(&one.outage_milliseconds));
        self.gaps.truncate(SHOWN);
    }
}

fn milliseconds(moment: Moment) -> f64 {
    moment as f64 / 1e6
}
