//! Ends a relay that hangs: with the process its TUN goes, with that its routes, and others take its packets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crate::{
    failure::{Failure, host},
    workers::Reading,
};

/// How often is looked.
const PERIOD: Duration = Duration::from_secs(1);

/// After so many looks in a row without progress a thread may hang.
const SUSPECT: u32 = 5;

/// After so many there is no hope.
const LOST: u32 = 10;

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_millis(200);

/// Tells a worker that hangs from one that has nothing to do.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    /// For each worker: its batches when last looked at, and how often in a row it stood still.
    seen: Vec<(u64, u32)>,
}

/// Workers that make no progress though there are packets for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Hung {
    /// For some seconds: /livez says so.
    pub(crate) suspects: Vec<usize>,
    /// For so long that there is no hope.
    pub(crate) lost: Vec<usize>,
}

impl Watchdog {
    /// Looks at the workers, once a second; `pending` says whose queue has packets in it. Looks are counted, not time, so
    /// that a relay that was stopped and continued as a whole is not taken for hung.
    pub(crate) fn look(&mut self, workers: &[Reading], pending: &[bool]) -> Hung {
        self.seen.resize(workers.len(), (0, 0));
        for ((worker, pending), (batches, still)) in workers.iter().zip(pending).zip(&mut self.seen) {
            // One that waits is woken by packets.
            let stands = (*pending || !worker.waiting) && worker.batches == *batches;
            *still = if stands { *still + 1 } else { 0 };
            *batches = worker.batches;
        }
        Hung { suspects: self.standing(SUSPECT), lost: self.standing(LOST) }
    }

    fn standing(&self, looks: u32) -> Vec<usize> {
        self.seen.iter().enumerate().filter(|(_, (_, still))| *still >= looks).map(|(number, _)| number).collect()
    }
}

/// Shows that the control thread is alive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Begins to watch: from now on the process ends when there is no beat for too long.
    pub(crate) fn watched() -> Result<Self, Failure> {
        let pulse = Self::default();
        let watched = pulse.clone();
        let thread = thread::Builder::new().name("culvert-watchdog".to_owned());
        thread.spawn(move || watched.watch()).map_err(|error| host("no thread", error))?;
        Ok(pulse)
    }

    /// The control thread does something.
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Looks are counted here too.
    fn watch(&self) {
        let (mut seen, mut still) = (0, 0);
        while still < LOST {
            thread::sleep(PERIOD);
            let now = self.0.load(Relaxed);
            still = if now == seen { still + 1 } else { 0 };
            seen = now;
        }
        // The log may be what hangs.
        thread::spawn(|| tracing::error!("the control thread hangs: a bug in the relay or the kernel"));
        thread::sleep(FAREWELL);
        // SAFETY: takes no pointer and does not return; what other threads do meanwhile ends with them.
        unsafe { libc::_exit(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_hangs_if_it_has_something_to_do_and_stands_still() {
        let mut watchdog = Watchdog::default();
        let idle = Reading { waiting: true, ..Reading::default() };
        let stuck = Reading { batches: 7, ..Reading::default() };
        let asleep = Reading { waiting: true, batches: 8, ..Reading::default() };
        let mut looks = (1u64..).map(|batches| {
            let busy = Reading { batches, ..Reading::default() };
            watchdog.look(&[idle.clone(), busy, stuck.clone(), asleep.clone()], &[false, true, false, true])
        });
        assert!(looks.by_ref().take(SUSPECT as usize).all(|hung| hung == Hung::default()));
        assert_eq!(looks.next(), Some(Hung { suspects: vec![2, 3], lost: Vec::new() }));
        assert_eq!(looks.nth((LOST - SUSPECT - 1) as usize), Some(Hung { suspects: vec![2, 3], lost: vec![2, 3] }));
    }
}
