//! From two looks at counters to packets a second.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    cli::By,
    cluster::relay::{Answer, Count, Counts, KernelDrops, RelayState, seconds},
};

/// How fast a fleet is.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rates {
    /// How many relays answered both times.
    pub(crate) relays: usize,
    /// Those that did not, or started in between, and why.
    pub(crate) missing: BTreeMap<String, String>,
    /// By domain or relay.
    pub(crate) rows: BTreeMap<String, Row>,
    /// What was dropped.
    pub(crate) drops: Vec<Drop>,
}

/// What a domain's packets do, or a relay's.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) to_ce: Rate,
    pub(crate) from_ce: Rate,
    /// Packets per second, for whatever reason.
    pub(crate) dropped: f64,
}

/// Per second.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Rate {
    pub(crate) packets: f64,
    pub(crate) bits: f64,
}

/// Packets per second that went no further.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Drop {
    /// The domain or relay.
    pub(crate) of: String,
    /// None for the kernel's.
    pub(crate) direction: Option<String>,
    pub(crate) reason: String,
    pub(crate) packets: f64,
}

type Drops = BTreeMap<(String, Option<String>, String), f64>;

/// Packets without a domain, as the metrics have them, under a name that no domain can have.
const NO_DOMAIN: &str = "(none)";

impl Rates {
    /// What was counted between two looks. A relay counts if it answered both times and is the same process.
    pub(crate) fn between(before: &[Answer], now: &[Answer], by: By) -> Self {
        let (mut rates, mut drops) = (Self::default(), Drops::new());
        for answer in now {
            let earlier = before.iter().find(|earlier| earlier.pod == answer.pod);
            match pair(earlier, answer) {
                Ok((old, new, time)) => rates.add(&Growth { pod: &answer.pod, by, time }, old, new, &mut drops),
                Err(why) => _ = rates.missing.insert(answer.pod.clone(), why),
            }
        }
        let drop = |((of, direction, reason), packets)| Drop { of, direction, reason, packets };
        rates.drops = drops.into_iter().filter(|(_, packets)| *packets > 0.0).map(drop).collect();
        rates.drops.sort_by(|a, b| b.packets.total_cmp(&a.packets));
        rates
    }

    /// All rows together.
    pub(crate) fn total(&self) -> Row {
        self.rows.values().fold(Row::default(), |sum, row| sum.plus(*row))
    }

    fn add(&mut self, growth: &Growth<'_>, old: &RelayState, new: &RelayState, drops: &mut Drops) {
        self.relays += 1;
        let before: BTreeMap<_, _> = old.domains.iter().map(|it| ((&it.namespace, &it.name), &it.counts)).collect();
        for domain in &new.domains {
            let of = growth.key(&domain.name);
            // What was not there may have been counted long ago: counters outlive a domain that is taken away.
            let row = match before.get(&(&domain.namespace, &domain.name)) {
                Some(counts) => growth.row(&of, counts, &domain.counts, drops),
                None => Row::default(),
            };
            self.put(of, row);
        }
        let of = growth.key(NO_DOMAIN);
        let row = growth.row(&of, &old.unattributed, &new.unattributed, drops);
        if growth.by == By::Relay || row != Row::default() {
            self.put(of, row);
        }
        growth.kernel(&old.kernel_drops, &new.kernel_drops, drops);
    }

    fn put(&mut self, of: String, row: Row) {
        let sum = self.rows.entry(of).or_default();
        *sum = sum.plus(row);
    }
}

/// Two states of one process, and the seconds between them.
fn pair<'a>(earlier: Option<&'a Answer>, now: &'a Answer) -> Result<(&'a RelayState, &'a RelayState, f64), String> {
    let new = now.state.as_ref().map_err(ToString::to_string)?;
    let Some(earlier) = earlier else { return Err("it was not there before".to_owned()) };
    let old = earlier.state.as_ref().map_err(|_| "it did not answer before".to_owned())?;
    if old.started != new.started {
        return Err("it was started anew".to_owned());
    }
    Ok((old, new, seconds(earlier.at, now.at)))
}

/// How a relay's counters become rates.
struct Growth<'p> {
    pod: &'p str,
    by: By,
    /// In seconds.
    time: f64,
}

impl Growth<'_> {
    fn key(&self, domain: &str) -> String {
        match self.by {
            By::Domain => domain.to_owned(),
            By::Relay => self.pod.to_owned(),
        }
    }

    fn per_second(&self, old: u64, new: u64) -> f64 {
        new.saturating_sub(old) as f64 / self.time
    }

    fn row(&self, of: &str, old: &Counts, new: &Counts, drops: &mut Drops) -> Row {
        let mut row =
            Row { to_ce: self.rate(old, new, "to_ce"), from_ce: self.rate(old, new, "from_ce"), dropped: 0.0 };
        for (direction, reasons) in &new.dropped {
            for (reason, count) in reasons {
                let earlier = old.dropped.get(direction).and_then(|reasons| reasons.get(reason));
                let packets = self.per_second(earlier.map_or(0, |count| count.packets), count.packets);
                *drops.entry((of.to_owned(), Some(direction.clone()), reason.clone())).or_default() += packets;
                row.dropped += packets;
            }
        }
        row
    }

    fn rate(&self, old: &Counts, new: &Counts, direction: &str) -> Rate {
        let of = |counts: &Counts| counts.forwarded.get(direction).copied().unwrap_or_default();
        let (Count { packets: p0, bytes: b0 }, Count { packets: p1, bytes: b1 }) = (of(old), of(new));
        Rate { packets: self.per_second(p0, p1), bits: 8.0 * self.per_second(b0, b1) }
    }

    /// The kernel knows no domain: these are the relay's.
    fn kernel(&self, old: &[KernelDrops], new: &[KernelDrops], drops: &mut Drops) {
        for KernelDrops { interface, received, transmitted } in new {
            let Some(before) = old.iter().find(|it| it.interface == *interface) else { continue };
            let packets = self.per_second(before.received + before.transmitted, received + transmitted);
            *drops.entry((self.pod.to_owned(), None, format!("kernel, at {interface}"))).or_default() += packets;
        }
    }
}

impl Row {
    fn plus(self, other: Self) -> Self {
        Self {
            to_ce: self.to_ce.plus(other.to_ce),
            from_ce: self.from_ce.plus(other.from_ce),
            dropped: self.dropped + other.dropped,
        }
    }
}

impl Rate {
    fn plus(self, other: Self) -> Self {
        Self { packets: self.packets + other.packets, bits: self.bits + other.bits }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A relay's state after it forwarded `packets` of 100 bytes each way and dropped a tenth of them.
    fn state(packets: u64, started: &str) -> RelayState {
        let count = format!(r#"{{"packets":{packets},"bytes":{}}}"#, packets * 100);
        let tenth = format!(r#"{{"packets":{},"bytes":0}}"#, packets / 10);
        let text = format!(
            r#"{{"started":"{started}","domains":[{{"namespace":"n","name":"isp-a",
                "forwarded":{{"to_ce":{count},"from_ce":{count}}},"dropped":{{"from_ce":{{"SpoofedSource":{tenth}}}}}}}],
                "unattributed":{{"dropped":{{"to_ce":{{"NoRule":{count}}}}}}},
                "kernelDrops":[{{"interface":"culvert0","received":0,"transmitted":{packets}}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn answers(at: Instant, packets: [u64; 2], started: &str) -> Vec<Answer> {
        let answer = |(pod, packets): (&str, u64)| Answer { pod: pod.into(), at, state: Ok(state(packets, started)) };
        ["a", "b"].into_iter().zip(packets).map(answer).collect()
    }

    pub(crate) fn rates(by: By) -> Rates {
        let start = Instant::now();
        let before = answers(start, [1000, 0], "then");
        Rates::between(&before, &answers(start + Duration::from_secs(2), [3000, 500], "then"), by)
    }

    #[test]
    fn what_relays_do_is_added_up_by_domain() {
        let rates = rates(By::Domain);
        let row = rates.rows["isp-a"];
        assert_eq!((row.to_ce, row.dropped), (Rate { packets: 1250.0, bits: 1_000_000.0 }, 125.0));
        assert_eq!(rates.rows["(none)"].dropped, 1250.0);
        assert_eq!(rates.total().dropped, 1375.0);
        let drops: Vec<_> = rates.drops.iter().map(|it| (&*it.of, &*it.reason, it.packets)).collect();
        let kernel = "kernel, at culvert0";
        let expected = [
            ("(none)", "NoRule", 1250.0),
            ("a", kernel, 1000.0),
            ("b", kernel, 250.0),
            ("isp-a", "SpoofedSource", 125.0),
        ];
        assert_eq!(drops, expected);
    }

    #[test]
    fn or_by_relay() {
        let rates = rates(By::Relay);
        assert_eq!(rates.rows.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((rates.rows["a"].to_ce.packets, rates.rows["b"].from_ce.packets), (1000.0, 250.0));
        assert_eq!(rates.rows["a"].dropped, 1100.0);
    }

    #[test]
    fn a_relay_that_was_started_anew_has_no_rate_yet() {
        let start = Instant::now();
        let (before, now) = (answers(start, [1000, 1000], "then"), answers(start, [5, 5], "now"));
        let rates = Rates::between(&before, &now, By::Domain);
        assert_eq!((rates.relays, rates.rows.len()), (0, 0));
        assert_eq!(rates.missing["a"], "it was started anew");
        let rates = Rates::between(&before[..1], &before, By::Domain);
        assert_eq!((rates.relays, &*rates.missing["b"]), (1, "it was not there before"));
    }
}
