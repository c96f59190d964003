//! How long a process takes for a queue full of packets, seen from outside: it works for any TUN daemon.

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::sys;

/// A look at the counter; small beside the tens of milliseconds that a burst takes.
const LOOK: Duration = Duration::from_micros(100);

/// When nothing has come for so long, nothing comes any more.
const PATIENCE: Duration = Duration::from_millis(500);

/// A stopped process is off the CPU, and what it had in hand is written.
const SETTLE: Duration = Duration::from_millis(50);

/// Nanoseconds per packet, from letting the process go on to its last packet's being counted.
pub(crate) fn burst(pid: i32, tun: &str, counter: &Path, count: u64, packets: &[Vec<u8>]) -> Result<f64> {
    let socket = sys::packet_socket(tun)?;
    let _going_on = Stopped::new(pid)?;
    sleep(SETTLE);
    let before = read(counter)?;
    for packet in packets.iter().cycle().take(usize::try_from(count)?) {
        socket.send(packet).with_context(|| format!("the queue of {tun} does not take {count} packets"))?;
    }
    let start = Instant::now();
    sys::signal(pid, libc::SIGCONT)?;
    let (mut seen, mut last) = (0, start);
    while seen < count && last.elapsed() < PATIENCE {
        sleep(LOOK);
        let now = read(counter)?.wrapping_sub(before);
        if now != seen {
            (seen, last) = (now, Instant::now());
        }
    }
    ensure!(seen >= count, "only {seen} of {count} packets came out");
    Ok(last.duration_since(start).as_nanos() as f64 / count as f64)
}

fn read(counter: &Path) -> Result<u64> {
    let text = fs::read_to_string(counter).with_context(|| counter.display().to_string())?;
    text.trim().parse().with_context(|| counter.display().to_string())
}

/// A process that stands still, until this is dropped at the latest.
struct Stopped(i32);

impl Stopped {
    fn new(pid: i32) -> Result<Self> {
        sys::signal(pid, libc::SIGSTOP)?;
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // If it has gone meanwhile there is nothing to be done.
        _ = sys::signal(self.0, libc::SIGCONT);
    }
}
