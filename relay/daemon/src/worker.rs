//! The packet loop: one thread for each queue of the TUN. One read and one write per packet, nothing else; the clock
//! and the snapshot are looked at once per batch.

mod slots;

use std::{mem, os::fd::OwnedFd, sync::Arc, time::Instant};

use arc_swap::{ArcSwap, Cache};
use engine::{Engine, Extras, Now, Packet, Snapshot, Verdict};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, write},
};

use self::slots::{BATCH, Slots};
use crate::{capture::Tap, self_test::Notes, shared::Shared, workers::Progress};

/// One queue and everything its thread needs.
pub(crate) struct Worker {
    queue: Arc<OwnedFd>,
    /// Readable once the thread shall end.
    stop: Arc<OwnedFd>,
    engine: Engine,
    snapshot: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    progress: Arc<Progress>,
    notes: Arc<Notes>,
    tap: Arc<Tap>,
    /// Its number.
    number: usize,
    clock: Instant,
    slots: Slots,
    /// Always empty: its memory is what [`Worker::forward`] lists a batch in.
    list: Vec<Packet<'static>>,
    verdicts: [Verdict; BATCH],
    extras: Extras,
}

impl Worker {
    pub(crate) fn new(queue: Arc<OwnedFd>, stop: Arc<OwnedFd>, engine: Engine, shared: &Shared, number: usize) -> Self {
        Self {
            queue,
            stop,
            engine,
            snapshot: Cache::new(Arc::clone(&shared.snapshot)),
            progress: Arc::clone(&shared.progress[number]),
            notes: Arc::clone(&shared.notes),
            tap: Arc::clone(&shared.tap),
            number,
            clock: shared.clock,
            slots: Slots::new(),
            list: Vec::with_capacity(BATCH),
            verdicts: [Verdict::default(); BATCH],
            extras: Extras::new(),
        }
    }

    /// Forwards until told to stop.
    ///
    /// # Errors
    /// What the kernel says when the device is gone.
    pub(crate) fn run(mut self) -> Result<(), Errno> {
        while self.wait()? {
            while self.slots.fill(&self.queue)? == BATCH {
                self.forward();
            }
            self.forward();
        }
        Ok(())
    }

    /// Waits for packets; `false`: the thread shall end.
    fn wait(&self) -> Result<bool, Errno> {
        let mut ready = [PollFd::new(&self.queue, PollFlags::IN), PollFd::new(&*self.stop, PollFlags::IN)];
        self.progress.waits(true);
        let result = poll(&mut ready, None);
        self.progress.waits(false);
        match result {
            Ok(_) if !ready[1].revents().is_empty() => Ok(false),
            Ok(_) | Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn forward(&mut self) {
        let mut packets = reuse(mem::take(&mut self.list));
        packets.extend(self.slots.packets());
        if self.notes.are_wanted() {
            packets.iter().for_each(|packet| self.notes.note(self.number, packet.bytes()));
        }
        let capture = self.tap.current().map(|capture| (capture.fronts(&packets), capture));
        let now = Now(self.clock.elapsed().as_nanos() as u64);
        let (snapshot, verdicts) = (self.snapshot.load(), &mut self.verdicts[..packets.len()]);
        self.engine.process(snapshot, now, &mut packets, verdicts, &mut self.extras);
        if let Some((fronts, capture)) = capture {
            capture.record(fronts, verdicts, snapshot, self.number);
        }
        let mut extras = self.extras.packets().peekable();
        let mut written = 0;
        for (place, (packet, verdict)) in packets.iter().zip(verdicts).enumerate() {
            if verdict.leaves() {
                written += send(&self.queue, packet.bytes(), &self.progress);
            }
            while let Some((_, bytes)) = extras.next_if(|(cause, _)| *cause <= place) {
                written += send(&self.queue, bytes, &self.progress);
            }
        }
        self.progress.add(packets.len(), written);
        self.list = reuse(packets);
    }
}

/// Empties a list and returns its memory as a list that may hold packets of other buffers: no allocation per batch.
fn reuse<'b>(mut list: Vec<Packet<'_>>) -> Vec<Packet<'b>> {
    list.clear();
    list.into_iter().map(|_| unreachable!("the list is empty")).collect()
}

/// Writes one packet: 1 if the kernel took it. If it did not, the packet is lost and counted by the kernel's reason.
#[inline]
fn send(queue: &OwnedFd, packet: &[u8], progress: &Progress) -> usize {
    loop {
        match write(queue, packet) {
            Ok(_) => return 1,
            Err(Errno::INTR) => {}
            Err(error) => {
                progress.write_failed(error);
                return 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_memory() {
        let mut buffer = vec![0; 128];
        let list: Vec<Packet<'static>> = Vec::with_capacity(BATCH);
        let memory = list.as_ptr() as usize;
        let mut list = reuse(list);
        list.push(Packet::new(&mut buffer, 64, 20));
        let list: Vec<Packet<'static>> = reuse(list);
        assert_eq!((list.as_ptr() as usize, list.capacity(), list.len()), (memory, BATCH, 0));
    }
}
