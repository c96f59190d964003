//! One direction of one flow: when each record was sent, and when it came.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    FromCe = 0,
    ToCe = 1,
}

impl Direction {
    pub(crate) const BOTH: [Self; 2] = [Self::FromCe, Self::ToCe];

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::BOTH.into_iter().find(|direction| *direction as u8 == byte)
    }
}

/// Nanoseconds since the traffic began.
pub(crate) type Moment = u64;

#[derive(Clone, Copy)]
struct Entry {
    sent: Moment,
    arrived: Option<Moment>,
}

/// What is known of a direction so far.
#[derive(Default)]
pub(crate) struct Way {
    entries: Vec<Entry>,
    highest: usize,
    /// Came after a higher number.
    pub(crate) late: u64,
    pub(crate) twice: u64,
    /// Was no record as it was sent, or another flow's.
    pub(crate) damaged: u64,
}

/// Consecutive numbers that did not come.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gap {
    pub(crate) first: usize,
    pub(crate) lost: usize,
    #[serde(skip)]
    pub(crate) sent: Moment,
    /// From the last that came before to the first that came afterwards, by the sender's clock.
    #[serde(skip)]
    pub(crate) outage: Moment,
}

impl Way {
    /// The number of the next record.
    pub(crate) fn next(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn send(&mut self, now: Moment) {
        self.entries.push(Entry { sent: now, arrived: None });
    }

    /// The record that was made last could not be sent.
    pub(crate) fn take_back(&mut self) {
        self.entries.pop();
    }

    pub(crate) fn arrive(&mut self, number: usize, now: Moment) {
        let Some(entry) = self.entries.get_mut(number) else {
            self.damaged += 1;
            return;
        };
        if entry.arrived.replace(now).is_some() {
            self.twice += 1;
        }
        self.late += u64::from(number < self.highest);
        self.highest = self.highest.max(number);
    }

    pub(crate) fn missing(&self, first: usize, end: usize) -> usize {
        self.entries[first..end].iter().filter(|entry| entry.arrived.is_none()).count()
    }

    /// What is missing of these numbers, in one piece each.
    pub(crate) fn gaps(&self, first: usize, end: usize) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        for number in (first..end).filter(|number| self.entries[*number].arrived.is_none()) {
            match gaps.last_mut() {
                Some(gap) if gap.first + gap.lost == number => gap.lost += 1,
                _ => gaps.push(Gap { first: number, lost: 1, sent: self.entries[number].sent, outage: 0 }),
            }
        }
        for gap in &mut gaps {
            gap.outage = self.outage(gap);
        }
        gaps
    }

    fn outage(&self, gap: &Gap) -> Moment {
        let came = |entry: &&Entry| entry.arrived.is_some();
        let before = self.entries[..gap.first].iter().rev().find(came).map_or(gap.sent, |entry| entry.sent);
        let rest = &self.entries[gap.first..];
        let after = rest.iter().find(came).or(rest.last()).map_or(gap.sent, |entry| entry.sent);
        after.saturating_sub(before)
    }

    /// The longest time in which none of these came, by the receiver's clock: it has the machine's pauses in it too.
    pub(crate) fn silence(&self, first: usize, end: usize) -> Moment {
        let arrived: Vec<Moment> = self.entries[first..end].iter().filter_map(|entry| entry.arrived).collect();
        arrived.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten records, sent every 10 ns, of which these did not come; the others took 5 ns.
    fn way(missing: &[usize]) -> Way {
        let mut way = Way::default();
        for number in 0..10 {
            way.send(number as Moment * 10);
        }
        for number in (0..10).filter(|number| !missing.contains(number)) {
            way.arrive(number, number as Moment * 10 + 5);
        }
        way
    }

    #[test]
    fn all_that_came_is_no_gap() {
        assert_eq!(way(&[]).gaps(0, 10), []);
        assert_eq!(way(&[]).missing(0, 10), 0);
        assert_eq!(way(&[]).silence(0, 10), 10);
    }

    #[test]
    fn a_gap_lasts_from_arrival_to_arrival() {
        let gaps = way(&[3, 4, 8]).gaps(0, 10);
        assert_eq!(
            gaps,
            [Gap { first: 3, lost: 2, sent: 30, outage: 30 }, Gap { first: 8, lost: 1, sent: 80, outage: 20 }]
        );
        assert_eq!(way(&[3, 4, 8]).silence(0, 10), 30);
    }

    #[test]
    fn a_gap_without_an_end_lasts_to_the_last_that_was_sent() {
        assert_eq!(way(&[7, 8, 9]).gaps(0, 10), [Gap { first: 7, lost: 3, sent: 70, outage: 30 }]);
        assert_eq!(way(&[0, 1]).gaps(0, 10), [Gap { first: 0, lost: 2, sent: 0, outage: 20 }]);
    }

    #[test]
    fn a_window_counts_its_own() {
        assert_eq!(way(&[3, 4, 8]).gaps(4, 8), [Gap { first: 4, lost: 1, sent: 40, outage: 30 }]);
        assert_eq!(way(&[3, 4, 8]).missing(4, 8), 1);
    }

    #[test]
    fn what_comes_twice_late_or_unsent_is_counted() {
        let mut way = way(&[2]);
        way.arrive(2, 200);
        way.arrive(2, 201);
        way.arrive(10, 202);
        assert_eq!((way.late, way.twice, way.damaged), (2, 1, 1));
        assert_eq!(way.missing(0, 10), 0);
    }
}
