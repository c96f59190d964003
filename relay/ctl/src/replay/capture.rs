//! The capture that is read: pcap of either endianness and precision, or pcapng.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use pcap_parser::{
    Block, InterfaceDescriptionBlock, PcapBlockOwned, PcapError, create_reader, traits::PcapNGPacketBlock,
    traits::PcapReaderIterator,
};

use super::link::Link;
use crate::failure::Failure;

/// The largest record that is believed: as much as any tool writes (libpcap's MAXIMUM_SNAPLEN).
const LONGEST: usize = 262_144;

/// Room for the largest record, and for pcapng's other blocks.
pub const BUFFER: usize = 1 << 20;

/// pcapng's first block type, the same in either byte order.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// A type, and the length twice.
const SHORTEST_BLOCK: u32 = 12;

/// A captured frame.
pub struct Record<'c> {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// How the frame begins.
    pub link: Link,
    /// The frame, so far as it was captured.
    pub data: &'c [u8],
}

/// A capture being read.
pub struct Capture {
    reader: Box<dyn PcapReaderIterator + Send>,
    interfaces: Interfaces,
    path: PathBuf,
    packets: u64,
}

/// Where frames were captured; classic pcap has only one.
struct Interfaces {
    list: Vec<Interface>,
    is_nanosecond: bool,
    /// Of pcapng's present section.
    is_big_endian: Option<bool>,
}

#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    /// How many units of its timestamps make a second.
    resolution: u128,
    /// Added to its timestamps, in seconds.
    offset: i64,
}

impl Capture {
    /// Opens a file, or as `-` the standard input.
    ///
    /// # Errors
    /// It cannot be opened, or does not begin as a capture does.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Self::new(path, io::stdin(), BUFFER);
        }
        let file = File::open(path).map_err(|error| Failure::file(path, error))?;
        Self::new(path, file, BUFFER)
    }

    /// Reads from `input`, called `path` in errors, through a buffer of so many bytes: the largest record that can be read.
    ///
    /// # Errors
    /// It does not begin as a capture does.
    pub fn new(path: &Path, input: impl Read + Send + 'static, buffer: usize) -> Result<Self, Failure> {
        let reader = create_reader(buffer, Whole(input)).map_err(|error| unreadable(path, &error))?;
        let interfaces = Interfaces { list: Vec::new(), is_nanosecond: true, is_big_endian: None };
        let mut capture = Self { reader, interfaces, path: path.to_path_buf(), packets: 0 };
        capture.read_header()?;
        Ok(capture)
    }

    /// Whether its timestamps are finer than microseconds; those of pcapng may be.
    #[must_use]
    pub fn is_nanosecond(&self) -> bool {
        self.interfaces.is_nanosecond
    }

    /// Hands over every record, in order, until one fails.
    ///
    /// # Errors
    /// The capture breaks off or is corrupt; what `each` says.
    pub fn read(&mut self, mut each: impl FnMut(&Record<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        loop {
            let offset = self.reader.consumed();
            if self.interfaces.is_next_impossible(self.reader.data()) {
                return Err(self.corrupt("is corrupt"));
            }
            match self.reader.next() {
                Ok((0, _)) => return Err(self.corrupt("is corrupt")),
                Ok((size, block)) => {
                    let record = self.interfaces.record(&block);
                    if let Some(record) = record.map_err(|what| corrupt(&self.path, offset, self.packets, &what))? {
                        self.packets += 1;
                        each(&record)?;
                    }
                    self.reader.consume(size);
                }
                Err(PcapError::Eof) => return Ok(()),
                Err(PcapError::Incomplete(_)) => self.refill()?,
                Err(PcapError::UnexpectedEof) => return Err(self.corrupt("breaks off here")),
                Err(_) => return Err(self.corrupt("is corrupt")),
            }
        }
    }

    /// A classic header says what all records are; pcapng says so as it goes.
    fn read_header(&mut self) -> Result<(), Failure> {
        let header = match self.reader.next() {
            Ok((_, PcapBlockOwned::LegacyHeader(header))) => header,
            _ => return Ok(()),
        };
        let is_nanosecond = header.is_nanosecond_precision();
        let resolution = if is_nanosecond { 1_000_000_000 } else { 1_000_000 };
        // The upper bits tell the length of a frame check sequence: link padding to us.
        let link = header.network.0 as u32 & 0xffff;
        let interface = Interface { link, resolution, offset: 0 };
        self.interfaces = Interfaces { list: vec![interface], is_nanosecond, is_big_endian: None };
        interface.link().map(drop).map_err(|what| Failure::Capture(format!("{}: {what}", self.path.display())))
    }

    fn refill(&mut self) -> Result<(), Failure> {
        let (before, was_exhausted) = (self.reader.data().len(), self.reader.reader_exhausted());
        if self.reader.refill().is_err() {
            return Err(self.corrupt("cannot be read"));
        }
        // No more comes, or none fits, and yet the record wants more: its lengths contradict each other.
        let is_stuck = self.reader.data().len() == before && (was_exhausted || !self.reader.reader_exhausted());
        if is_stuck { Err(self.corrupt("is corrupt")) } else { Ok(()) }
    }

    fn corrupt(&self, what: &str) -> Failure {
        corrupt(&self.path, self.reader.consumed(), self.packets, what)
    }
}

impl Interfaces {
    /// The frame in a block, if it is one of frames; else what it says about the frames to come is noted.
    fn record<'b>(&mut self, block: &'b PcapBlockOwned<'_>) -> Result<Option<Record<'b>>, String> {
        match block {
            PcapBlockOwned::Legacy(block) => {
                let interface = self.get(0)?;
                let units = u128::from(block.ts_sec) * interface.resolution + u128::from(block.ts_usec);
                interface.record(units, block.data).map(Some)
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
                let units = u128::from(block.ts_high) << 32 | u128::from(block.ts_low);
                self.get(block.if_id)?.record(units, block.packet_data()).map(Some)
            }
            PcapBlockOwned::NG(Block::SimplePacket(block)) => self.get(0)?.record(0, block.packet_data()).map(Some),
            PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
                self.list.push(Interface::new(block)?);
                Ok(None)
            }
            PcapBlockOwned::NG(Block::SectionHeader(block)) => {
                self.list.clear();
                self.is_big_endian = Some(block.big_endian());
                Ok(None)
            }
            PcapBlockOwned::NG(_) | PcapBlockOwned::LegacyHeader(_) => Ok(None),
        }
    }

    /// Whether a block of pcapng begins here that claims to be shorter than what every block has. The parser takes the
    /// difference without looking.
    fn is_next_impossible(&self, data: &[u8]) -> bool {
        let (Some(is_big_endian), Some(head)) = (self.is_big_endian, data.first_chunk::<8>()) else { return false };
        let [kind, length] = [[head[0], head[1], head[2], head[3]], [head[4], head[5], head[6], head[7]]];
        let length = if is_big_endian { u32::from_be_bytes(length) } else { u32::from_le_bytes(length) };
        // A section's header may begin another byte order; the parser does look at its length.
        kind != SECTION_HEADER && length < SHORTEST_BLOCK
    }

    fn get(&self, number: u32) -> Result<Interface, String> {
        self.list
            .get(number as usize)
            .copied()
            .ok_or_else(|| format!("is of interface {number}, which is not described"))
    }
}

impl Interface {
    fn new(block: &InterfaceDescriptionBlock<'_>) -> Result<Self, String> {
        let power = u32::from(block.if_tsresol & 0x7f);
        let base: u128 = if block.if_tsresol & 0x80 == 0 { 10 } else { 2 };
        let resolution = base.checked_pow(power).filter(|resolution| *resolution <= u128::from(u64::MAX));
        let resolution = resolution.ok_or_else(|| format!("has a time resolution of {base}^-{power} s"))?;
        Ok(Self { link: block.linktype.0 as u32, resolution, offset: block.if_tsoffset })
    }

    fn link(self) -> Result<Link, String> {
        let wrong = || format!("has link type {}, which is not understood; {} are", self.link, Link::UNDERSTOOD);
        Link::from_number(self.link).ok_or_else(wrong)
    }

    fn record(self, units: u128, data: &[u8]) -> Result<Record<'_>, String> {
        if data.len() > LONGEST {
            return Err(format!("claims a packet of {} bytes; {LONGEST} is the most", data.len()));
        }
        let since = (units * 1_000_000_000 / self.resolution) as i128 + i128::from(self.offset) * 1_000_000_000;
        let time = u64::try_from(since.max(0)).unwrap_or(u64::MAX);
        Ok(Record { time, link: self.link()?, data })
    }
}

fn corrupt(path: &Path, offset: usize, packets: u64, what: &str) -> Failure {
    let path = path.display();
    Failure::Capture(format!("{path}: the record at byte {offset}, after packet {packets}, {what}"))
}

fn unreadable(path: &Path, error: &PcapError<&[u8]>) -> Failure {
    let what = match error {
        PcapError::Eof => "is empty",
        PcapError::ReadError => "cannot be read",
        PcapError::Incomplete(_) | PcapError::UnexpectedEof => "breaks off in its header",
        _ => "is neither pcap nor pcapng",
    };
    Failure::Capture(format!("{}: the file {what}", path.display()))
}

/// A reader that fills its buffer unless the input ends: a pipe may give less, and the parser takes that for the end.
struct Whole<R>(R);

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A classic capture, little-endian, of two raw frames.
    fn classic() -> Vec<u8> {
        let words = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 101u32];
        let record = [7, 8, 4, 4, 0x45u32];
        words.iter().chain(&record).chain(&record).flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A pcapng capture with a packet block of either kind.
    fn next_generation() -> Vec<u8> {
        let section = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, 0xffff_ffff, 0xffff_ffff, 28u32];
        let interface = [1, 32, 101, 0, 0x0001_0009, 9, 0, 32];
        let enhanced = [6, 36, 0, 0, 5, 4, 4, 0x45, 36];
        let simple = [3, 20, 4, 0x45, 20];
        let words = section.iter().chain(&interface).chain(&enhanced).chain(&simple);
        words.flat_map(|word| word.to_le_bytes()).collect()
    }

    fn read(bytes: Vec<u8>) -> Result<Vec<(u64, Vec<u8>)>, Failure> {
        let mut records = Vec::new();
        let mut capture = Capture::new(Path::new("test"), io::Cursor::new(bytes), 1 << 12)?;
        capture.read(|record| {
            records.push((record.time, record.data.to_vec()));
            Ok(())
        })?;
        Ok(records)
    }

    #[test]
    fn both_formats_are_read() {
        let frame = vec![0x45, 0, 0, 0];
        let record = (7_000_008_000, frame.clone());
        assert_eq!(read(classic()).unwrap(), [record.clone(), record]);
        assert_eq!(read(next_generation()).unwrap(), [(5, frame.clone()), (0, frame)]);
    }

    #[test]
    fn a_block_shorter_than_any_can_be_is_corrupt() {
        for length in 0..SHORTEST_BLOCK {
            let block = [0x4711u32, length, length].map(u32::to_le_bytes).concat();
            let failure = read([next_generation(), block].concat()).unwrap_err();
            assert_eq!(failure.to_string(), "test: the record at byte 116, after packet 2, is corrupt");
        }
        let block = [0x4711u32, SHORTEST_BLOCK, SHORTEST_BLOCK].map(u32::to_le_bytes).concat();
        assert_eq!(read([next_generation(), block].concat()).unwrap().len(), 2);
    }

    proptest! {
        /// Whatever a file says, it is read or refused.
        #[test]
        fn no_file_makes_it_panic(
            is_classic: bool,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = if is_classic { classic() } else { next_generation() };
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = read(bytes.clone());
            bytes.truncate(cut.index(bytes.len()));
            let _ = read(bytes);
        }
    }
}
