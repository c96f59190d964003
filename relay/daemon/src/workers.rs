//! The threads, and how one can tell from outside that they are alive.

use std::{
    hash::{BuildHasher, RandomState},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use crossbeam_utils::CachePadded;
use engine::{Engine, Options, Ttl};
use rustix::{
    event::{EventfdFlags, eventfd},
    io::Errno,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    failure::{Failure, host},
    shared::Shared,
    worker::Worker,
};

/// All worker threads of the relay.
pub(crate) struct Workers {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<OwnedFd>,
}

impl Workers {
    /// Starts one thread for each queue. A thread that ends by itself says so on `ended`.
    pub(crate) fn start(
        queues: Vec<OwnedFd>,
        shared: &Shared,
        ended: &UnboundedSender<String>,
    ) -> Result<Self, Failure> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let stop = Arc::new(event.map_err(|error| host("no event descriptor", error))?);
        let secret = RandomState::new().hash_one(0);
        let mut threads = Vec::with_capacity(queues.len());
        for (number, queue) in queues.into_iter().enumerate() {
            let engine = Engine::new(Options { ttl: Ttl::Kernel, worker: number, secret });
            let worker = Worker::new(queue, Arc::clone(&stop), engine, shared, number);
            let farewell = Farewell { number, ended: ended.clone(), error: None };
            let thread = thread::Builder::new().name(format!("culvert-tun-{number}"));
            threads.push(thread.spawn(move || farewell.after(worker)).map_err(|error| host("no thread", error))?);
        }
        Ok(Self { threads, stop })
    }

    /// Ends the threads, and with them the TUN device.
    pub(crate) fn stop(self) {
        // An event descriptor takes eight bytes, and this one is never full.
        let _ = rustix::io::write(&*self.stop, &1u64.to_ne_bytes());
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// Says why a thread ended, also if it panicked.
struct Farewell {
    number: usize,
    ended: UnboundedSender<String>,
    error: Option<Result<(), Errno>>,
}

impl Farewell {
    fn after(mut self, worker: Worker) {
        self.error = Some(worker.run());
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let why = match self.error {
            Some(Ok(())) => return,
            Some(Err(Errno::BADFD | Errno::FAULT | Errno::IO)) => {
                "the TUN device is gone: somebody deleted it".to_owned()
            }
            Some(Err(error)) => format!("the TUN device cannot be read: {error}"),
            None => "a bug in the relay (panic); please report it with the log".to_owned(),
        };
        // Nobody listens any more when the relay is ending anyway.
        let _ = self.ended.send(format!("worker {} ended: {why}", self.number));
    }
}

/// What one worker has done, written by its thread only.
#[derive(Debug, Default)]
pub(crate) struct Progress(CachePadded<Cells>);

#[derive(Debug, Default)]
struct Cells {
    waiting: AtomicBool,
    batches: AtomicU64,
    received: AtomicU64,
    written: AtomicU64,
    write_errors: [AtomicU64; WriteError::ALL.len()],
}

/// One look at a worker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    /// It waits for packets: not hung, however long nothing moves.
    pub(crate) waiting: bool,
    pub(crate) batches: u64,
    pub(crate) received: u64,
    pub(crate) written: u64,
    /// Only what has counted.
    pub(crate) write_errors: Vec<(WriteError, u64)>,
}

impl Progress {
    pub(crate) fn waits(&self, waiting: bool) {
        self.0.waiting.store(waiting, Relaxed);
    }

    pub(crate) fn add(&self, received: usize, written: usize) {
        increase(&self.0.batches, 1);
        increase(&self.0.received, received);
        increase(&self.0.written, written);
    }

    #[cold]
    pub(crate) fn write_failed(&self, error: Errno) {
        increase(&self.0.write_errors[WriteError::from(error) as usize], 1);
    }

    pub(crate) fn read(&self) -> Reading {
        let errors =
            WriteError::ALL.into_iter().map(|error| (error, self.0.write_errors[error as usize].load(Relaxed)));
        Reading {
            waiting: self.0.waiting.load(Relaxed),
            batches: self.0.batches.load(Relaxed),
            received: self.0.received.load(Relaxed),
            written: self.0.written.load(Relaxed),
            write_errors: errors.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// Written by one thread only, so a plain load and store will do.
fn increase(cell: &AtomicU64, by: usize) {
    cell.store(cell.load(Relaxed).wrapping_add(by as u64), Relaxed);
}

/// Why the kernel did not take a packet that was to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// It says the packet is malformed.
    Invalid,
    /// It has no memory for it.
    NoMemory,
    /// The device is down.
    Down,
    /// Anything else.
    Other,
}

impl WriteError {
    const ALL: [Self; 4] = [Self::Invalid, Self::NoMemory, Self::Down, Self::Other];

    /// Its metric label.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
            Self::NoMemory => "NoMemory",
            Self::Down => "Down",
            Self::Other => "Other",
        }
    }
}

impl From<Errno> for WriteError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::INVAL => Self::Invalid,
            Errno::NOMEM | Errno::NOBUFS | Errno::AGAIN => Self::NoMemory,
            Errno::IO | Errno::BADFD | Errno::NETDOWN => Self::Down,
            _ => Self::Other,
        }
    }
}

/// Tells a worker that hangs from one that has nothing to do.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    /// For each worker: its batches when last looked at, and how often in a row it stood still.
    seen: Vec<(u64, u32)>,
}

/// Workers that are busy with the same batch for too long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Hung {
    /// For some seconds: /livez says so.
    pub(crate) suspects: Vec<usize>,
    /// For so long that there is no hope.
    pub(crate) lost: Vec<usize>,
}

impl Watchdog {
    /// Looks at the workers, once a second. Looks are counted, not time, so that a relay that was stopped and continued
    /// as a whole is not taken for hung.
    pub(crate) fn look(&mut self, workers: &[Reading]) -> Hung {
        self.seen.resize(workers.len(), (0, 0));
        for (worker, (batches, still)) in workers.iter().zip(&mut self.seen) {
            let stands = !worker.waiting && worker.batches == *batches;
            *still = if stands { *still + 1 } else { 0 };
            *batches = worker.batches;
        }
        Hung { suspects: self.standing(SUSPECT), lost: self.standing(LOST) }
    }

    fn standing(&self, looks: u32) -> Vec<usize> {
        self.seen.iter().enumerate().filter(|(_, (_, still))| *still >= looks).map(|(number, _)| number).collect()
    }
}

const SUSPECT: u32 = 5;
const LOST: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_hangs_if_it_is_busy_and_stands_still() {
        let mut watchdog = Watchdog::default();
        let idle = Reading { waiting: true, ..Reading::default() };
        let stuck = Reading { batches: 7, ..Reading::default() };
        let mut looks = (1u64..).map(|batches| {
            let busy = Reading { batches, ..Reading::default() };
            watchdog.look(&[idle.clone(), busy, stuck.clone()])
        });
        assert!(looks.by_ref().take(SUSPECT as usize).all(|hung| hung == Hung::default()));
        assert_eq!(looks.next(), Some(Hung { suspects: vec![2], lost: Vec::new() }));
        assert_eq!(looks.nth((LOST - SUSPECT - 1) as usize), Some(Hung { suspects: vec![2], lost: vec![2] }));
    }

    #[test]
    fn write_errors_are_counted_by_kind() {
        let progress = Progress::default();
        for error in [Errno::INVAL, Errno::NOBUFS, Errno::NOMEM, Errno::PERM] {
            progress.write_failed(error);
        }
        let counts = progress.read().write_errors;
        assert_eq!(counts, [(WriteError::Invalid, 1), (WriteError::NoMemory, 2), (WriteError::Other, 1)]);
    }
}
