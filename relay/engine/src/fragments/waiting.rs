//! A packet that the relay keeps for a while.

use crate::{Count, HEADROOM, Packet, fragments::inner::Known};

/// A whole packet in a buffer of its own, to be judged later: a fragment that came too early, or a datagram joined.
#[derive(Debug)]
pub(crate) struct Waiting {
    buffer: Vec<u8>,
    /// What it is counted as.
    pub(crate) load: Count,
    /// What its first fragment said, if it need not be looked up again.
    pub(crate) known: Known,
}

impl Waiting {
    /// A packet made of `parts`.
    pub(crate) fn new(parts: &[&[u8]], load: Count) -> Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut buffer = Vec::with_capacity(HEADROOM + length);
        buffer.resize(HEADROOM, 0);
        parts.iter().for_each(|part| buffer.extend_from_slice(part));
        Self { buffer, load, known: Known::default() }
    }

    /// Its length.
    pub(crate) fn length(&self) -> usize {
        self.buffer.len() - HEADROOM
    }

    /// The packet, to be edited in place.
    pub(crate) fn packet(&mut self) -> Packet<'_> {
        let length = self.length();
        Packet::new(&mut self.buffer, HEADROOM, length)
    }
}
