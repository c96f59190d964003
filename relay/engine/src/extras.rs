//! Packets beyond the one in the buffer: further fragments of a packet, datagrams that were held.

/// What a batch made besides the packets in its buffers. Cleared by each call; keeps its memory.
#[derive(Debug, Default)]
pub struct Extras {
    bytes: Vec<u8>,
    packets: Vec<Extra>,
}

#[derive(Debug)]
struct Extra {
    cause: usize,
    start: usize,
    end: usize,
}

impl Extras {
    /// Room for a batch of super-packets, so that no call needs to allocate.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(1 << 20), packets: Vec::with_capacity(1 << 10) }
    }

    /// The packets in the order they leave, each with the place in the batch of the packet that caused it.
    pub fn packets(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.packets.iter().map(|extra| (extra.cause, &self.bytes[extra.start..extra.end]))
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
    }

    /// Adds a packet made of `parts`.
    pub(crate) fn push(&mut self, cause: usize, parts: &[&[u8]]) {
        let start = self.bytes.len();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.packets.push(Extra { cause, start, end: self.bytes.len() });
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.packets.len()
    }

    /// Adds a packet before all those that were added since there were `place`.
    pub(crate) fn insert(&mut self, place: usize, cause: usize, packet: &[u8]) {
        self.push(cause, &[packet]);
        self.packets[place..].rotate_right(1);
    }
}
