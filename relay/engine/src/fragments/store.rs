//! The incomplete datagrams of one domain: bounded in number and bytes, each for a bounded time.

use std::{
    collections::HashMap,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher},
};

use mape::options::Reassembly;

use crate::{
    Count, Direction, DropReason, Now,
    counters::Kept,
    fragments::{
        inner::First,
        join::Pieces,
        lists::{Links, Lists},
        waiting::Waiting,
    },
};

/// What tells datagrams apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(super) kind: Kind,
    /// Whether its pieces are joined.
    pub(super) joins: bool,
    /// Outer source and destination; zeros where there is no tunnel yet.
    pub(super) tunnel: [[u64; 2]; 2],
    /// Inner source and destination; zeros for outer fragments.
    pub(super) source: u32,
    pub(super) destination: u32,
    pub(super) identification: u32,
}

/// Which fragments, and for IPv4 ones of which protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ToCe(u8),
    FromCe(u8),
    /// From a CE, on the way to another one.
    Hairpin(u8),
    Outer,
}

/// At once: field by field takes a third of all the instructions of a fragment (callgrind).
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [[a, b], [c, d]] = self.tunnel;
        let addresses = u64::from(self.source) << 32 | u64::from(self.destination);
        let rest = u64::from(self.identification) << 32 | u64::from(self.kind.code()) << 1 | u64::from(self.joins);
        let mut bytes = [0; 48];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip([a, b, c, d, addresses, rest]) {
            *place = word.to_ne_bytes();
        }
        state.write(&bytes);
    }
}

impl Key {
    pub(super) fn direction(&self) -> Direction {
        match self.kind {
            Kind::ToCe(_) => Direction::ToCe,
            Kind::FromCe(_) | Kind::Hairpin(_) | Kind::Outer => Direction::FromCe,
        }
    }

    /// Who sends, and who is sent to. All outer fragments are for the relay: their source stands for both.
    fn ends(&self) -> ([u64; 2], [u64; 2]) {
        let source = if self.kind.is_from_ce() { self.tunnel[0] } else { [0, u64::from(self.source)] };
        let destination = if self.kind == Kind::Outer { source } else { [0, u64::from(self.destination)] };
        (source, destination)
    }
}

impl Kind {
    /// A number of its own for each.
    fn code(self) -> u16 {
        match self {
            Self::ToCe(number) => u16::from(number),
            Self::FromCe(number) => 0x100 | u16::from(number),
            Self::Hairpin(number) => 0x200 | u16::from(number),
            Self::Outer => 0x300,
        }
    }

    fn is_from_ce(self) -> bool {
        !matches!(self, Self::ToCe(_))
    }
}

/// What is known of a datagram.
#[derive(Debug)]
pub(super) enum Content {
    /// The first one is yet to come.
    Early(Early),
    /// What the first one said: later ones need not wait.
    First(First),
    /// Pieces to be joined.
    Pieces(Pieces),
    /// Pieces overlapped: nothing of it is worth anything (RFC 5722).
    Refused,
}

impl Content {
    /// What it is counted as when it is lost.
    fn load(&self) -> Count {
        match self {
            Self::Early(early) => early.load,
            Self::Pieces(pieces) => pieces.load(),
            Self::First(_) | Self::Refused => Count::default(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Early(early) => early.bytes,
            Self::Pieces(pieces) => pieces.bytes(),
            Self::First(_) | Self::Refused => 0,
        }
    }
}

/// Fragments that came before the first one, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Early {
    packets: Vec<Waiting>,
    load: Count,
    bytes: usize,
}

impl Early {
    pub(super) fn push(&mut self, packet: Waiting) {
        self.load += packet.load;
        self.bytes += packet.length() + OVERHEAD;
        self.packets.push(packet);
    }

    pub(super) fn into_packets(self) -> Vec<Waiting> {
        self.packets
    }
}

/// What a fragment costs beside its bytes.
pub(super) const OVERHEAD: usize = 128;

/// What a datagram costs, so that those with nothing kept weigh something too.
const DATAGRAM: usize = 256;

/// How much a domain may keep.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    datagrams: usize,
    bytes: usize,
    /// Nanoseconds.
    timeout: u64,
}

impl Limits {
    pub(crate) fn new(reassembly: &Reassembly) -> Self {
        let datagrams = reassembly.max_datagrams as usize;
        Self {
            datagrams,
            // The largest datagram has to fit, however few there may be.
            bytes: datagrams * 1024 + 131_072,
            timeout: u64::from(reassembly.timeout_seconds) * 1_000_000_000,
        }
    }
}

/// What was kept and is lost, by direction and reason.
#[derive(Debug, Default)]
pub(crate) struct Losses(Vec<(Direction, DropReason, Count)>);

impl Losses {
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Direction, DropReason, Count)> {
        self.0.iter().copied()
    }

    pub(super) fn add(&mut self, direction: Direction, reason: DropReason, load: Count) {
        if load.packets > 0 {
            self.0.push((direction, reason, load));
        }
    }
}

/// A hash that nobody outside can predict.
#[derive(Debug, Clone)]
pub(crate) struct Keyed(u64);

impl Keyed {
    pub(crate) fn new(secret: u64) -> Self {
        Self(secret)
    }
}

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Store {
    keyed: Keyed,
    limits: Limits,
    places: HashMap<Key, u32, Keyed>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    lists: Lists,
    /// How many were entered so far.
    entered: u64,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    /// How many were entered before it.
    number: u64,
    since: Now,
    content: Content,
    links: Links,
}

fn links(slot: &mut Slot) -> &mut Links {
    &mut slot.links
}

impl Store {
    pub(crate) fn new(keyed: Keyed) -> Self {
        let places = HashMap::with_hasher(keyed.clone());
        let limits = Limits::default();
        Self { keyed, limits, places, slots: Vec::new(), free: Vec::new(), lists: Lists::new(), entered: 0 }
    }

    pub(crate) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(crate) fn kept(&self) -> Kept {
        let datagrams = self.places.len();
        Kept { datagrams: datagrams as u64, bytes: (self.lists.weight() - DATAGRAM * datagrams) as u64 }
    }

    /// Forgets the datagrams whose time is over.
    pub(crate) fn expire(&mut self, now: Now, losses: &mut Losses) {
        while let Some(oldest) = self.lists.oldest() {
            let age = now.0.saturating_sub(self.slots[oldest as usize].since.0);
            if age < self.limits.timeout {
                return;
            }
            self.lose(oldest, DropReason::ReassemblyTimeout, losses);
        }
    }

    /// What is known of a datagram.
    pub(super) fn find(&self, key: &Key) -> Option<&Content> {
        self.places.get(key).map(|slot| &self.slots[*slot as usize].content)
    }

    /// Changes what is known of a datagram that grows by at most `bytes`; a new one has nothing [`Content::Early`]. What
    /// has to go to make room is lost.
    pub(super) fn change<T>(
        &mut self,
        key: &Key,
        now: Now,
        bytes: usize,
        losses: &mut Losses,
        change: impl FnOnce(&mut Content) -> T,
    ) -> T {
        self.make_room(key, bytes, losses);
        let slot = self.places.get(key).copied().unwrap_or_else(|| self.enter(*key, now));
        let Slot { content, links, .. } = &mut self.slots[slot as usize];
        let result = change(content);
        self.lists.weigh(links, DATAGRAM + content.bytes());
        result
    }

    /// Takes a datagram out.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(slot) = self.places.get(key) {
            self.take(*slot);
        }
    }

    fn make_room(&mut self, key: &Key, bytes: usize, losses: &mut Losses) {
        loop {
            let known = self.places.contains_key(key);
            let has_place = known || self.places.len() < self.limits.datagrams;
            let has_bytes = self.kept().bytes as usize + bytes <= self.limits.bytes;
            if has_place && has_bytes {
                return;
            }
            let Some(victim) = self.lists.victim(|slot| self.slots[slot as usize].number) else { return };
            self.lose(victim, DropReason::ReassemblyFull, losses);
        }
    }

    fn enter(&mut self, key: Key, now: Now) -> u32 {
        let (source, destination) = key.ends();
        let links_of = Links::new(self.keyed.hash_one(source), self.keyed.hash_one(destination));
        let number = self.entered;
        self.entered += 1;
        let slot = Slot { key, number, since: now, content: Content::Early(Early::default()), links: links_of };
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.places.insert(key, place);
        self.lists.enter(&mut self.slots, place, links);
        place
    }

    fn lose(&mut self, slot: u32, reason: DropReason, losses: &mut Losses) {
        let direction = self.slots[slot as usize].key.direction();
        let content = self.take(slot);
        losses.add(direction, reason, content.load());
    }

    fn take(&mut self, slot: u32) -> Content {
        self.lists.leave(&mut self.slots, slot, links);
        self.free.push(slot);
        let Slot { key, content, .. } = &mut self.slots[slot as usize];
        self.places.remove(key);
        std::mem::replace(content, Content::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_the_secret() {
        let hash = |secret: u64| Keyed::new(secret).hash_one(597);
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }
}
