//! Counted traffic between network namespaces, at thousands of packets a second in both directions at once.
//!
//! `culvert-meter CONFIG.json` opens the flows, prints `{"ready":true}` and lets traffic flow until its standard input ends.
//! The line `window NAME` there begins a window, `end` ends the one that was begun last: when what was sent in it has had
//! time to come, a line of JSON says what did not.
#![forbid(unsafe_code)]

mod config;
mod connection;
mod datagrams;
mod flow;
mod namespace;
mod record;
mod report;
mod traffic;
mod way;

use std::{env, fs, io};

use anyhow::{Context, Result, bail};

use crate::{config::Config, traffic::Traffic};

fn main() -> Result<()> {
    let path = env::args().nth(1).context("usage: culvert-meter CONFIG.json")?;
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let config: Config = serde_json::from_str(&text).with_context(|| path.clone())?;
    let traffic = Traffic::open(&config)?;
    traffic.run(|| {
        println!(r#"{{"ready":true}}"#);
        answer(&traffic)
    })
}

/// Does what standard input says, until it ends.
fn answer(traffic: &Traffic) -> Result<()> {
    let mut windows = Vec::new();
    for line in io::stdin().lines() {
        let line = line?;
        match (line.split_once(' '), line.as_str()) {
            (Some(("window", name)), _) => windows.push(traffic.begin(name)),
            (_, "end") => {
                let begun = windows.pop().context("`end` without `window NAME`")?;
                println!("{}", serde_json::to_string(&traffic.end(begun))?);
            }
            _ => bail!("`{line}` is neither `window NAME` nor `end`"),
        }
    }
    Ok(())
}
