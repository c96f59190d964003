//! Classic pcap, LINKTYPE_RAW, as it is written (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap>).

use std::io::{self, Write};

const SECOND: u64 = 1_000_000_000;
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

    /// Adds a packet that left at `time`, in nanoseconds since 1970.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, time: u64, packet: &[u8]) -> io::Result<()> {
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
