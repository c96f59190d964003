//! Where packets are taken off the packet path: idle, it costs one look per batch.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use ::capture::{
    Request,
    pcapng::{Counts, Packet as Record},
};
use engine::{Outcome, Packet, Snapshot, Verdict};

use crate::self_test;

/// As many bytes as records may wait in: more than a second of 100,000 packets' headers.
const ROOM: usize = 16 << 20;

/// As many records as may wait, however short.
const MOST: usize = 1 << 16;

/// What all workers share: the capture that is on, if one is.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    on: AtomicBool,
    capture: Mutex<Option<Arc<Capture>>>,
}

/// One capture, as workers see it.
#[derive(Debug)]
pub(crate) struct Capture {
    request: Request,
    queue: SyncSender<Record>,
    wanted: AtomicU64,
    lost: AtomicU64,
}

/// One capture, as its reader sees it. It ends when this is dropped.
pub(crate) struct Reader<'t> {
    tap: &'t Tap,
    capture: Arc<Capture>,
    pub(crate) records: Receiver<Record>,
}

/// The fronts of a batch's packets as they came in, before the engine edits them: those that may be wanted.
pub(crate) struct Fronts(Vec<Option<(u32, Vec<u8>)>>);

impl Tap {
    /// Begins a capture; `None` while another is on.
    pub(crate) fn begin(&self, request: Request) -> Option<Reader<'_>> {
        let mut current = self.capture.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_some() {
            return None;
        }
        let (queue, records) = sync_channel((ROOM / request.snap_length as usize).min(MOST));
        let capture = Arc::new(Capture { request, queue, wanted: AtomicU64::new(0), lost: AtomicU64::new(0) });
        *current = Some(Arc::clone(&capture));
        self.on.store(true, Relaxed);
        Some(Reader { tap: self, capture, records })
    }

    /// The capture that is on: looked at once per batch.
    #[inline]
    pub(crate) fn current(&self) -> Option<Arc<Capture>> {
        if self.on.load(Relaxed) { self.get() } else { None }
    }

    #[cold]
    fn get(&self) -> Option<Arc<Capture>> {
        self.capture.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Reader<'_> {
    pub(crate) fn counts(&self) -> Counts {
        Counts { wanted: self.capture.wanted.load(Relaxed), lost: self.capture.lost.load(Relaxed) }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.tap.on.store(false, Relaxed);
        *self.tap.capture.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Capture {
    /// Keeps what may be wanted of a batch that has just come in.
    #[cold]
    pub(crate) fn fronts(&self, packets: &[Packet<'_>]) -> Fronts {
        let kept = self.request.snap_length as usize;
        let front = |packet: &Packet<'_>| {
            let bytes = packet.bytes();
            let wanted = self.request.wants_headers(bytes);
            wanted.then(|| (bytes.len() as u32, bytes[..bytes.len().min(kept)].to_vec()))
        };
        Fronts(packets.iter().map(front).collect())
    }

    /// Records those whose fate is wanted too. What the queue has no room for is lost: no worker waits for a reader.
    #[cold]
    pub(crate) fn record(&self, fronts: Fronts, verdicts: &[Verdict], snapshot: &Snapshot, queue: usize) {
        let time = now();
        for (front, verdict) in fronts.0.into_iter().zip(verdicts) {
            let Some((length, bytes)) = front else { continue };
            let domain = verdict.domain().and_then(|index| snapshot.domain_name(index));
            let is_test = domain.is_some_and(self_test::is);
            if is_test || !self.request.wants_fate(verdict, domain.map(|domain| &*domain.name)) {
                continue;
            }
            self.wanted.fetch_add(1, Relaxed);
            let domain = domain.map(|domain| format!(", domain {domain}")).unwrap_or_default();
            let comment = format!("{}{domain}, queue {queue}", fate(verdict));
            if self.queue.try_send(Record { time, length, bytes, comment }).is_err() {
                self.lost.fetch_add(1, Relaxed);
            }
        }
    }
}

/// `verdict drop SpoofedSource (answered), from_ce`.
fn fate(verdict: &Verdict) -> String {
    let word = ::capture::Verdict::from(verdict.outcome).word();
    let reason = verdict.reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    let answered = if matches!(verdict.outcome, Outcome::Drop { reply: true, .. }) { " (answered)" } else { "" };
    format!("verdict {word}{reason}{answered}, {}", verdict.direction.word())
}

/// In nanoseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use engine::{Defaults, DropReason, HEADROOM, Memory};
    use mape::Fleet;

    use super::*;

    fn request(flags: &str) -> Request {
        Request::parse(flags.split_whitespace()).unwrap()
    }

    /// Lets a worker see one packet of 100 bytes.
    fn see(tap: &Tap, verdict: Verdict) {
        let snapshot = Snapshot::compile(&Fleet::default(), &Memory::new(1, 0), &Defaults::default());
        let mut buffer = [vec![0; HEADROOM], vec![0x45; 100]].concat();
        let batch = [Packet::new(&mut buffer, HEADROOM, 100)];
        let Some(capture) = tap.current() else { return };
        let fronts = capture.fronts(&batch);
        capture.record(fronts, &[verdict], &snapshot, 3);
    }

    #[test]
    fn what_is_asked_for_is_recorded_while_it_is() {
        let tap = Tap::default();
        see(&tap, Verdict::default());
        let reader = tap.begin(request("--snap-length=20 --verdict=drop")).unwrap();
        let mut dropped = Verdict::default();
        dropped.outcome = Outcome::Drop { reason: DropReason::SpoofedSource, reply: true };
        see(&tap, Verdict::default());
        see(&tap, dropped);
        let records: Vec<Record> = reader.records.try_iter().collect();
        let [Record { length: 100, bytes, comment, .. }] = &records[..] else { panic!("{records:?}") };
        assert_eq!(bytes.len(), 20);
        assert_eq!(comment, "verdict drop SpoofedSource (answered), to_ce, queue 3");
        assert!(tap.begin(request("")).is_none(), "one at a time");
        drop(reader);
        assert!(tap.current().is_none());
        assert!(tap.begin(request("")).is_some());
    }

    #[test]
    fn what_nobody_takes_is_lost_and_counted() {
        let tap = Tap::default();
        let reader = tap.begin(request("--snap-length=65535")).unwrap();
        (0..300).for_each(|_| see(&tap, Verdict::default()));
        let waiting = (ROOM / 65_535) as u64;
        assert_eq!(reader.counts(), Counts { wanted: 300, lost: 300 - waiting });
        assert_eq!(reader.records.try_iter().count() as u64, waiting);
    }
}
