//! Longest match over prefixes that may nest: a sorted list in which each prefix knows the next shorter one around it.
//!
//! The engine compiles its own flat tables for speed; this one is the obvious form, and their oracle in tests.

use alloc::vec::Vec;

use crate::address::leading_ones;

/// A prefix of up to 128 bits, left-aligned, and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) start: u128,
    pub(crate) length: u8,
    pub(crate) value: u32,
}

impl Entry {
    pub(crate) fn contains(&self, address: u128) -> bool {
        address & leading_ones(self.length) == self.start
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PrefixIndex {
    entries: Vec<Entry>,
    parents: Vec<Option<u32>>,
}

impl PrefixIndex {
    pub(crate) fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable();
        let mut around: Vec<u32> = Vec::new();
        let mut parents = Vec::with_capacity(entries.len());
        for (position, entry) in entries.iter().enumerate() {
            while around.last().is_some_and(|last| !entries[*last as usize].contains(entry.start)) {
                around.pop();
            }
            parents.push(around.last().copied());
            around.push(position as u32);
        }
        Self { entries, parents }
    }

    /// All entries that contain `address`, longest first; equal prefixes by descending value.
    pub(crate) fn matches(&self, address: u128) -> impl Iterator<Item = &Entry> {
        let after = self.entries.partition_point(|entry| entry.start <= address);
        let mut next = after.checked_sub(1);
        core::iter::from_fn(move || {
            let position = next?;
            next = self.parents[position].map(|parent| parent as usize);
            Some(&self.entries[position])
        })
        .filter(move |entry| entry.contains(address))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
