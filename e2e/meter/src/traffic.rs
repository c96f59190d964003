//! All flows at once: one thread sends, one receives, and windows are counted from outside.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};

use crate::{
    config::{Config, Kind},
    flow::Flow,
    report::Report,
    way::Direction,
};

/// How often the sender looks what is due.
const TICK: Duration = Duration::from_millis(1);
/// A pause that was lost to others is made up for, up to here: more at once would be a burst that nobody sends.
const BEHIND: Duration = Duration::from_millis(20);
/// The receiver takes what came meanwhile in one go.
const REST: Duration = Duration::from_micros(300);
/// What is on its way has so long to come. TCP gets more, for its retransmissions.
const SETTLE: Duration = Duration::from_millis(1500);
const MEND: Duration = Duration::from_secs(20);

pub(crate) struct Traffic {
    flows: Vec<Flow>,
    datagrams: Pace,
    records: Pace,
    began: Instant,
    going: AtomicBool,
}

/// Whose turn it is, and how often one is.
struct Pace {
    turns: Vec<(usize, Direction)>,
    interval: Duration,
}

/// A window that is open: when it began, and with which numbers.
pub(crate) struct Window {
    name: String,
    began: Instant,
    first: Vec<[usize; 2]>,
}

impl Traffic {
    pub(crate) fn open(config: &Config) -> Result<Self> {
        ensure!(config.datagrams_per_second > 0 && config.records_per_second > 0, "a rate of 0 sends nothing");
        let began = Instant::now();
        let mut flows = Vec::new();
        for (number, flow) in config.flows.iter().enumerate() {
            flows.push(Flow::open(u16::try_from(number).context("too many flows")?, flow, began)?);
        }
        let of = |connections: bool| {
            let chosen =
                config.flows.iter().enumerate().filter(move |(_, flow)| (flow.kind != Kind::Udp) == connections);
            chosen.flat_map(|(place, _)| Direction::BOTH.map(|direction| (place, direction))).collect::<Vec<_>>()
        };
        let (datagrams, records) = (of(false), of(true));
        let total = config.records_per_second * u32::try_from(records.len())?.max(1);
        Ok(Self {
            flows,
            datagrams: Pace { turns: datagrams, interval: Duration::from_secs(1) / (2 * config.datagrams_per_second) },
            records: Pace { turns: records, interval: Duration::from_secs(1) / total },
            began,
            going: AtomicBool::new(true),
        })
    }

    /// Traffic flows while `meanwhile` runs.
    pub(crate) fn run(&self, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
        thread::scope(|scope| {
            let receiver = scope.spawn(|| self.receive());
            scope.spawn(|| self.send());
            let done = meanwhile();
            self.going.store(false, Ordering::Relaxed);
            receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            done
        })
    }

    fn going(&self) -> bool {
        self.going.load(Ordering::Relaxed)
    }

    fn send(&self) {
        let started = Instant::now();
        let mut paces = [(&self.datagrams, started, 0), (&self.records, started, 0)];
        while self.going() {
            let now = Instant::now();
            for (pace, due, place) in &mut paces {
                *due = (*due).max(now.checked_sub(BEHIND).unwrap_or(started));
                while *due <= now && !pace.turns.is_empty() {
                    let (flow, direction) = pace.turns[*place % pace.turns.len()];
                    self.flows[flow].send(direction);
                    *due += pace.interval;
                    *place += 1;
                }
            }
            sleep(TICK);
        }
    }

    fn receive(&self) -> Result<()> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let ends: Vec<(&Flow, Direction)> =
            self.flows.iter().flat_map(|flow| Direction::BOTH.map(|direction| (flow, direction))).collect();
        for (place, (flow, direction)) in ends.iter().enumerate() {
            epoll::add(
                &poll,
                flow.receiver(*direction),
                epoll::EventData::new_u64(place as u64),
                epoll::EventFlags::IN,
            )?;
        }
        let mut events = Vec::with_capacity(ends.len().max(1));
        let timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while self.going() {
            events.clear();
            match epoll::wait(&poll, spare_capacity(&mut events), Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            for event in &events {
                let (flow, direction) = ends[usize::try_from(event.data.u64())?];
                flow.receive(direction);
                if flow.broken().is_some() {
                    // It would be readable for ever.
                    let _ = epoll::delete(&poll, flow.receiver(direction));
                }
            }
            sleep(REST);
        }
        Ok(())
    }

    pub(crate) fn begin(&self, name: &str) -> Window {
        Window { name: name.to_owned(), began: Instant::now(), first: self.numbers() }
    }

    /// Closes a window, and says what became of what was sent in it once it has had time to come.
    pub(crate) fn end(&self, window: Window) -> Report {
        let (seconds, end) = (window.began.elapsed().as_secs_f64(), self.numbers());
        self.wait(SETTLE, false, &window.first, &end);
        self.wait(MEND, true, &window.first, &end);
        let began = u64::try_from((window.began - self.began).as_nanos()).unwrap_or(u64::MAX);
        let mut report = Report { window: window.name, seconds, ..Report::default() };
        for (place, flow) in self.flows.iter().enumerate() {
            for direction in Direction::BOTH {
                let which = direction as usize;
                let range = (window.first[place][which], end[place][which]);
                let way = flow.way(direction);
                if flow.is_connection() {
                    report.add_connection(&way, range);
                    continue;
                }
                report.add_datagrams(&flow.names[which], &way, range, began);
                match direction {
                    Direction::FromCe => report.sent_from_ce += range.1 - range.0,
                    Direction::ToCe => report.sent_to_ce += range.1 - range.0,
                }
            }
            report.connections.broken.extend(flow.broken().map(|why| format!("{}: {why}", flow.names[0])));
        }
        report.shorten();
        report
    }

    fn numbers(&self) -> Vec<[usize; 2]> {
        self.flows.iter().map(|flow| Direction::BOTH.map(|direction| flow.way(direction).next())).collect()
    }

    /// Waits until all of a kind has come, or the time is over.
    fn wait(&self, patience: Duration, connections: bool, first: &[[usize; 2]], end: &[[usize; 2]]) {
        let started = Instant::now();
        let outstanding = || {
            self.flows.iter().enumerate().any(|(place, flow)| {
                flow.is_connection() == connections
                    && flow.broken().is_none()
                    && Direction::BOTH.into_iter().any(|direction| {
                        let which = direction as usize;
                        flow.way(direction).missing(first[place][which], end[place][which]) > 0
                    })
            })
        };
        while outstanding() && started.elapsed() < patience {
            sleep(Duration::from_millis(10));
        }
    }
}
