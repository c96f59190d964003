//! The empty TUN copy loop that relays are measured against, and bursts into the TUN of whatever process. `run` drives
//! both.

mod burst;
mod copy;
mod packets;
mod sys;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
culvert-bench copy TUN
    creates the device and writes every packet back that it reads
culvert-bench burst PID TUN COUNTER COUNT PACKETS CPU
    stops process PID, fills TUN's queue with COUNT packets, lets PID go on, and prints how many nanoseconds passed for
    each until COUNTER (a file in /sys/class/net/*/statistics) had counted them all; PACKETS is one of
    to-ce, from-ce, siit; CPU is where to wait";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["copy", tun] => copy::copy(tun),
        ["burst", pid, tun, counter, count, kind, cpu] => {
            sys::pin(cpu.parse().context("CPU is a number")?)?;
            let packets = match *kind {
                "to-ce" => packets::many(packets::to_ce),
                "from-ce" => packets::many(packets::from_ce),
                "siit" => packets::many(packets::siit),
                other => bail!("{other} is no kind of packet\n{USAGE}"),
            };
            let (pid, count) = (pid.parse().context("PID is a number")?, count.parse().context("COUNT is a number")?);
            let nanoseconds = burst::burst(pid, tun, counter.as_ref(), count, &packets)?;
            println!("{nanoseconds:.1}");
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}
