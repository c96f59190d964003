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
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
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
    queues: Vec<Arc<OwnedFd>>,
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
        let queues: Vec<Arc<OwnedFd>> = queues.into_iter().map(Arc::new).collect();
        let mut threads = Vec::with_capacity(queues.len());
        for (number, queue) in queues.iter().enumerate() {
            let queue = Arc::clone(queue);
            let engine = Engine::new(Options { ttl: Ttl::Kernel, worker: number, secret });
            let worker = Worker::new(queue, Arc::clone(&stop), engine, shared, number);
            let farewell = Farewell { number, ended: ended.clone(), error: None };
            let thread = thread::Builder::new().name(format!("culvert-tun-{number}"));
            threads.push(thread.spawn(move || farewell.after(worker)).map_err(|error| host("no thread", error))?);
        }
        Ok(Self { threads, queues, stop })
    }

    /// Which queues have packets in them that nobody has taken yet.
    pub(crate) fn pending(&self) -> Vec<bool> {
        let has_packets = |queue: &Arc<OwnedFd>| {
            let mut ready = [PollFd::new(queue, PollFlags::IN)];
            poll(&mut ready, Some(&Timespec::default())).is_ok() && ready[0].revents().contains(PollFlags::IN)
        };
        self.queues.iter().map(has_packets).collect()
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
    /// It waits for packets.
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
    pub(crate) const ALL: [Self; 4] = [Self::Invalid, Self::NoMemory, Self::Down, Self::Other];

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

#[cfg(test)]
mod tests {
    use super::*;

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
