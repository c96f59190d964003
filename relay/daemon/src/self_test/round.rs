//! A round of the self-test: which flows were sent, which worker had which, and what came back.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

use super::{
    Way,
    packet::{Mark, entering, outgoing, returned},
};

/// As many flows as a round may have, for each way: with 256 workers each is missed by all of them once in ten million
/// rounds.
const MAX_FLOWS: u16 = 8192;

/// Nobody saw it.
const NOBODY: u16 = u16::MAX;

/// What the workers saw of the round that is on. They look for its packets only while one is on.
#[derive(Debug)]
pub(crate) struct Notes {
    workers: usize,
    /// The round's number, 0 while none is on.
    nonce: AtomicU64,
    /// The worker that saw a flow, for each way and flow.
    seen: [Vec<AtomicU16>; 2],
}

impl Notes {
    /// For this many workers.
    pub(crate) fn new(workers: usize) -> Self {
        let flows = || (0..MAX_FLOWS).map(|_| AtomicU16::new(NOBODY)).collect();
        Self { workers, nonce: AtomicU64::new(0), seen: [flows(), flows()] }
    }

    /// Whether a round is on: looked at once per batch.
    #[inline]
    pub(crate) fn are_wanted(&self) -> bool {
        self.nonce.load(Relaxed) != 0
    }

    /// A worker sees a packet.
    #[cold]
    pub(crate) fn note(&self, worker: usize, packet: &[u8]) {
        let Some(mark) = entering(packet).filter(|mark| mark.nonce == self.nonce.load(Relaxed)) else { return };
        if let Some(seen) = self.seen[mark.way as usize].get(usize::from(mark.flow)) {
            seen.store(worker as u16, Relaxed);
        }
    }

    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    pub(super) fn begin(&self, nonce: u64) {
        self.seen.iter().flatten().for_each(|seen| seen.store(NOBODY, Relaxed));
        self.nonce.store(nonce, Relaxed);
    }

    pub(super) fn end(&self) {
        self.nonce.store(0, Relaxed);
    }

    fn worker(&self, mark: Mark) -> Option<usize> {
        let worker = self.seen[mark.way as usize].get(usize::from(mark.flow))?.load(Relaxed);
        (worker != NOBODY).then_some(usize::from(worker))
    }
}

/// One round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    nonce: u64,
    flows: u16,
    /// For each way, which workers have passed.
    passed: [Vec<bool>; 2],
}

impl Round {
    pub(super) fn new(workers: usize, nonce: u64) -> Self {
        Self { nonce, flows: 0, passed: [vec![false; workers], vec![false; workers]] }
    }

    /// The next wave: enough for all workers, most likely.
    pub(super) fn more_packets(&mut self) -> Vec<Vec<u8>> {
        let wave = (self.passed[0].len() as u16).saturating_mul(4).clamp(8, 256);
        let flows = self.flows..self.flows.saturating_add(wave).min(MAX_FLOWS);
        self.flows = flows.end;
        let nonce = self.nonce;
        flows.flat_map(|flow| Way::ALL.map(|way| outgoing(Mark { way, flow, nonce }))).collect()
    }

    /// Takes note of a packet that came back.
    pub(super) fn returned(&mut self, packet: &[u8], notes: &Notes) {
        let Some(mark) = returned(packet).filter(|mark| mark.nonce == self.nonce) else { return };
        if let Some(passed) = notes.worker(mark).and_then(|worker| self.passed[mark.way as usize].get_mut(worker)) {
            *passed = true;
        }
    }

    pub(super) fn all_passed(&self) -> bool {
        self.passed.iter().flatten().all(|passed| *passed)
    }

    /// Whether a worker has passed.
    pub(crate) fn passed(&self, way: Way, worker: usize) -> bool {
        self.passed[way as usize].get(worker) == Some(&true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a packet is when it comes back.
    fn cross(packet: &[u8]) -> Vec<u8> {
        if packet[0] >> 4 == 6 {
            return packet[40..].to_vec();
        }
        let addresses = [super::super::BR.octets(), super::super::CE.octets()].concat();
        [&[0x60, 0, 0, 0, 0, 36, 4, 64][..], &addresses, packet].concat()
    }

    #[test]
    fn every_worker_has_to_pass_both_ways() {
        let notes = Notes::new(2);
        let mut round = Round::new(2, 5);
        notes.begin(5);
        assert!(notes.are_wanted());
        for (number, packet) in round.more_packets().iter().enumerate() {
            assert!(!round.all_passed());
            let worker = number / 2 % 2;
            notes.note(worker, packet);
            // Worker 1 loses what is to CEs until the fifth packet.
            if worker == 0 || packet[0] >> 4 == 6 || number > 5 {
                round.returned(&cross(packet), &notes);
            }
            if number == 5 {
                assert!(round.passed(Way::ToCe, 0) && round.passed(Way::FromCe, 1) && !round.passed(Way::ToCe, 1));
            }
            if round.all_passed() {
                notes.end();
                assert!(!notes.are_wanted());
                return;
            }
        }
        panic!("{round:?}");
    }

    #[test]
    fn what_another_round_sent_does_not_count() {
        let notes = Notes::new(1);
        let old = Round::new(1, 4).more_packets();
        let mut round = Round::new(1, 5);
        notes.begin(5);
        for packet in old {
            notes.note(0, &packet);
            round.returned(&cross(&packet), &notes);
        }
        assert!(!round.passed(Way::ToCe, 0) && !round.passed(Way::FromCe, 0));
    }

    #[test]
    fn a_round_ends_with_its_flows() {
        let mut round = Round::new(64, 1);
        let sent: usize = std::iter::from_fn(|| Some(round.more_packets().len()).filter(|sent| *sent > 0)).sum();
        assert_eq!(sent, 2 * usize::from(MAX_FLOWS));
    }
}
