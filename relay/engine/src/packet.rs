//! A packet in its buffer, edited in place: headers grow into the room before it.

use crate::{plain::LOOK, wire::IPV6_HEADER};

/// Free bytes that a buffer must have before a packet: an IPv6 and an ICMPv6 header (48) fit.
pub const HEADROOM: usize = 64;

/// The usual size of a buffer: headroom and a packet of up to 1,984 bytes.
pub const SLOT: usize = 2048;

/// Room for an IPv6 header, and the front of a packet that may have one too.
pub(crate) type Window = [u8; IPV6_HEADER + IPV6_HEADER + LOOK];

/// One IP packet, `buffer[start..start + length]`, from its IP header on.
#[derive(Debug)]
pub struct Packet<'b> {
    buffer: &'b mut [u8],
    /// Sums of it with small numbers cannot overflow a `usize`: fewer checks.
    start: u32,
    length: u32,
}

impl<'b> Packet<'b> {
    /// A packet of `length` bytes, link padding included, that begins `start` bytes into `buffer`.
    ///
    /// # Panics
    /// If it does not lie in the buffer with [`HEADROOM`] before it: a mistake of the driver, not of the packet.
    #[must_use]
    pub fn new(buffer: &'b mut [u8], start: usize, length: usize) -> Self {
        assert!(start >= HEADROOM && start + length <= buffer.len(), "packet {start}+{length} in {}", buffer.len());
        assert!(u32::try_from(buffer.len()).is_ok(), "a buffer of {} bytes", buffer.len());
        Self { buffer, start: start as u32, length: length as u32 }
    }

    /// The packet as it is now.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let (start, length) = self.place();
        &self.buffer[start..start + length]
    }

    /// Where the packet is now: its first byte in the buffer, and its length.
    #[must_use]
    pub fn place(&self) -> (usize, usize) {
        (self.start as usize, self.length as usize)
    }

    /// The IP version that the packet claims; 0 if it is empty.
    #[inline(always)]
    pub(crate) fn version(&self) -> u8 {
        self.bytes().first().map_or(0, |byte| byte >> 4)
    }

    /// The packet as it was before `count` bytes were stripped off its front.
    pub(crate) fn with_stripped(&self, count: usize) -> &[u8] {
        let (start, length) = self.place();
        &self.buffer[start - count..start + length]
    }

    /// The length without link padding, as the header has it.
    pub(crate) fn unpadded_length(&self) -> usize {
        let claimed = match (self.version(), self.bytes()) {
            (4, [_, _, high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
            (6, [_, _, _, _, high, low, ..]) => IPV6_HEADER + usize::from(u16::from_be_bytes([*high, *low])),
            _ => usize::MAX,
        };
        claimed.min(self.place().1)
    }

    /// What the express way sees: room for an IPv6 header, and the front of the packet, or as much of the buffer behind a
    /// short one. `None` in a buffer that ends before.
    #[inline(always)]
    pub(crate) fn window(&mut self) -> Option<&mut Window> {
        let begin = (self.start as usize).checked_sub(IPV6_HEADER)?;
        self.buffer.get_mut(begin..begin + size_of::<Window>())?.first_chunk_mut()
    }

    /// Says that `header` bytes were written before the packet, whose length is `total`.
    #[inline(always)]
    pub(crate) fn wrapped(&mut self, header: usize, total: usize) {
        self.start -= header as u32;
        self.length = (header + total) as u32;
    }

    /// Says that the packet is what lies `header` bytes into it, `total` bytes long.
    #[inline(always)]
    pub(crate) fn unwrapped(&mut self, header: usize, total: usize) {
        self.start += header as u32;
        self.length = total as u32;
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let (start, length) = self.place();
        &mut self.buffer[start..start + length]
    }

    /// Cuts everything behind the first `length` bytes.
    #[inline]
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = (self.place().1.min(length)) as u32;
    }

    /// Takes `count` bytes off the front.
    #[inline]
    pub(crate) fn strip(&mut self, count: usize) {
        self.start += count as u32;
        self.length -= count as u32;
    }

    /// Puts `N` bytes before the packet and returns them to be written.
    #[inline]
    pub(crate) fn prepend<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.start = self.start.checked_sub(N as u32)?;
        self.length += N as u32;
        self.buffer[self.start as usize..].first_chunk_mut()
    }
}
