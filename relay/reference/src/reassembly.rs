//! Putting datagrams together, IPv4 (RFC 791) or IPv6 (RFC 8200 section 4.5, RFC 5722).

use crate::passage::Arrival;

/// One fragment, and what else is to be known of it.
#[derive(Debug, Clone)]
pub(crate) struct Piece<H> {
    pub(crate) offset: usize,
    pub(crate) more: bool,
    pub(crate) data: Vec<u8>,
    pub(crate) ecn: u8,
    pub(crate) head: H,
    /// Bytes of the headers that the datagram would have from it.
    pub(crate) head_length: usize,
    pub(crate) arrival: Arrival,
}

/// A datagram that is not all there.
#[derive(Debug)]
pub(crate) struct Partial<H> {
    /// When it will be forgotten.
    pub(crate) until: u64,
    /// How many datagrams were kept before it.
    pub(crate) born: u64,
    pub(crate) pieces: Vec<Piece<H>>,
    /// Fragments overlapped: nothing of it is kept any more.
    poisoned: bool,
}

/// What a fragment did.
pub(crate) enum Added<H> {
    /// It is kept.
    Kept,
    /// It was there already.
    Duplicate,
    /// It overlaps: it is lost, and all these with it.
    Overlap(Vec<Piece<H>>),
    /// It was the last one missing: these, in order.
    Whole(Vec<Piece<H>>),
}

/// What every fragment that is kept costs beside its bytes.
pub(crate) const OVERHEAD: usize = 128;

impl<H> Piece<H> {
    /// The room that is made for it.
    pub(crate) fn room(&self) -> usize {
        self.data.len() + self.head_length + OVERHEAD
    }

    /// What it takes: only the first one's headers are kept.
    pub(crate) fn bytes(&self) -> usize {
        if self.offset == 0 { self.room() } else { self.room() - self.head_length }
    }

    fn end(&self) -> usize {
        self.offset + self.data.len()
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.offset, self.more, &self.data) == (other.offset, other.more, &other.data)
    }

    fn contradicts(&self, other: &Self) -> bool {
        let overlaps = self.offset < other.end() && other.offset < self.end();
        overlaps || !self.more && other.end() > self.end() || !other.more && self.end() > other.end()
    }
}

impl<H: Clone> Partial<H> {
    pub(crate) fn new(until: u64, born: u64) -> Self {
        Self { until, born, pieces: Vec::new(), poisoned: false }
    }

    /// What was kept of it, as it will be counted.
    pub(crate) fn lost(self) -> impl Iterator<Item = Arrival> {
        self.pieces.into_iter().map(|piece| piece.arrival)
    }

    pub(crate) fn add(&mut self, piece: Piece<H>) -> Added<H> {
        if self.poisoned {
            return Added::Overlap(Vec::new());
        }
        if self.pieces.iter().any(|other| piece.is_like(other)) {
            return Added::Duplicate;
        }
        if self.pieces.iter().any(|other| piece.contradicts(other)) {
            self.poisoned = true;
            return Added::Overlap(std::mem::take(&mut self.pieces));
        }
        self.pieces.push(piece);
        let mut sorted = self.pieces.clone();
        sorted.sort_by_key(|piece| piece.offset);
        let gapless = sorted[0].offset == 0 && sorted.windows(2).all(|pair| pair[0].end() == pair[1].offset);
        let ends = sorted.last().is_some_and(|last| !last.more);
        if gapless && ends { Added::Whole(sorted) } else { Added::Kept }
    }
}

/// The ECN field of the whole (RFC 3168 section 5.3); `None` if it must be dropped.
pub(crate) fn merged_ecn<H>(pieces: &[Piece<H>]) -> Option<u8> {
    let has = |ecn: u8| pieces.iter().any(|piece| piece.ecn & 3 == ecn);
    match (has(0b11), has(0b00)) {
        (true, true) => None,
        (true, false) => Some(0b11),
        (false, _) => Some(pieces[0].ecn & 3),
    }
}

pub(crate) fn joined_data<H>(pieces: &[Piece<H>]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.data.iter().copied()).collect()
}
