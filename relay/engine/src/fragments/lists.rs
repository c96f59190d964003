//! In which order datagrams go when there are too many: the oldest first, of who has most; where several have as much, of who
//! has the oldest. Each is in three lists: by age, with those of its source, and with those of its destination. Sources and
//! destinations share lists by a keyed hash.

use std::cmp::Reverse;

/// How many lists sources have, and destinations.
const CLASSES: usize = 256;

/// The end of a list.
const NOBODY: u32 = u32::MAX;

/// The list of all.
const AGE: usize = 0;

/// One datagram's neighbours, by age, source and destination; and which lists the last two are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    lists: [u16; 3],
    before: [u32; 3],
    after: [u32; 3],
    weight: usize,
}

impl Links {
    /// Not in any list yet.
    pub(super) fn new(source: u64, destination: u64) -> Self {
        let class = |hash: u64| hash as usize % CLASSES;
        let lists = [AGE as u16, (1 + class(source)) as u16, (1 + CLASSES + class(destination)) as u16];
        Self { lists, before: [NOBODY; 3], after: [NOBODY; 3], weight: 0 }
    }
}

#[derive(Debug, Clone, Copy)]
struct List {
    oldest: u32,
    youngest: u32,
    weight: usize,
}

/// The heads of all lists.
#[derive(Debug)]
pub(super) struct Lists {
    lists: Box<[List]>,
}

impl Lists {
    pub(super) fn new() -> Self {
        let empty = List { oldest: NOBODY, youngest: NOBODY, weight: 0 };
        Self { lists: vec![empty; 1 + 2 * CLASSES].into() }
    }

    /// The oldest datagram of all.
    pub(super) fn oldest(&self) -> Option<u32> {
        Some(self.lists[AGE].oldest).filter(|slot| *slot != NOBODY)
    }

    /// The oldest datagram of whoever has most. `number` tells which of two slots was entered first.
    pub(super) fn victim(&self, number: impl Fn(u32) -> u64) -> Option<u32> {
        let lists = self.lists[1..].iter().filter(|list| list.oldest != NOBODY);
        lists.max_by_key(|list| (list.weight, Reverse(number(list.oldest)))).map(|list| list.oldest)
    }

    /// What all of them weigh.
    pub(super) fn weight(&self) -> usize {
        self.lists[AGE].weight
    }

    /// Makes a datagram the youngest in its lists. `links` finds the links of a slot.
    pub(super) fn enter<S>(&mut self, slots: &mut [S], slot: u32, links: impl Fn(&mut S) -> &mut Links) {
        for way in 0..3 {
            let list = &mut self.lists[usize::from(links(&mut slots[slot as usize]).lists[way])];
            let before = std::mem::replace(&mut list.youngest, slot);
            match before {
                NOBODY => list.oldest = slot,
                before => links(&mut slots[before as usize]).after[way] = slot,
            }
            let own = links(&mut slots[slot as usize]);
            own.before[way] = before;
            own.after[way] = NOBODY;
        }
    }

    /// Takes a datagram out of its lists.
    pub(super) fn leave<S>(&mut self, slots: &mut [S], slot: u32, links: impl Fn(&mut S) -> &mut Links) {
        let own = *links(&mut slots[slot as usize]);
        for way in 0..3 {
            let list = &mut self.lists[usize::from(own.lists[way])];
            list.weight -= own.weight;
            let (before, after) = (own.before[way], own.after[way]);
            match before {
                NOBODY => list.oldest = after,
                before => links(&mut slots[before as usize]).after[way] = after,
            }
            match after {
                NOBODY => list.youngest = before,
                after => links(&mut slots[after as usize]).before[way] = before,
            }
        }
    }

    /// Changes what a datagram weighs.
    pub(super) fn weigh(&mut self, links: &mut Links, weight: usize) {
        for list in links.lists {
            let list = &mut self.lists[usize::from(list)];
            list.weight = list.weight - links.weight + weight;
        }
        links.weight = weight;
    }
}
