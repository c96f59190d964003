//! Classic pcap, LINKTYPE_RAW, as it is written (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap>).

use std::io::{self, Write};

const SECOND: u64 = 1_000_000_000;
/// The last moment that the format can say, in nanoseconds since 1970: in 2106.
pub const LAST: u64 = (1 << 32) * SECOND - 1;

/// As much as any tool accepts.
const SNAP_LENGTH: u32 = 262_144;
const LINKTYPE_RAW: u32 = 101;

/// A capture being written.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    is_nanosecond: bool,
    count: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a capture whose timestamps are in nanoseconds or microseconds.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(mut to: W, is_nanosecond: bool) -> io::Result<Self> {
        let magic: u32 = if is_nanosecond { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        to.write_all(&magic.to_le_bytes())?;
        to.write_all(&[2, 0, 4, 0])?;
        for field in [0, 0, SNAP_LENGTH, LINKTYPE_RAW] {
            to.write_all(&field.to_le_bytes())?;
        }
        Ok(Self { to, is_nanosecond, count: 0 })
    }

    /// How many packets there are so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a packet that left at `time`, in nanoseconds since 1970, or at [`LAST`] if that is later.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, time: u64, packet: &[u8]) -> io::Result<()> {
        let time = time.min(LAST);
        let fraction = if self.is_nanosecond { time % SECOND } else { time % SECOND / 1000 };
        let length = packet.len() as u64;
        for field in [time / SECOND, fraction, length, length] {
            self.to.write_all(&(field as u32).to_le_bytes())?;
        }
        self.count += 1;
        self.to.write_all(packet)
    }

    /// Writes out what is still in buffers.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// pcapng says times that pcap cannot; they must not become early ones.
    #[test]
    fn later_than_2106_is_as_late_as_can_be() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, true).unwrap();
        for time in [LAST, LAST + 1, u64::MAX] {
            writer.write(time, &[]).unwrap();
        }
        let last = [[0xff; 4], 999_999_999_u32.to_le_bytes(), [0; 4], [0; 4]].concat();
        assert_eq!(bytes[24..], last.repeat(3));
    }
}
