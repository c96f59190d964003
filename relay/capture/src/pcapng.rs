//! Packets as pcapng (draft-ietf-opsawg-pcapng), which Wireshark and tshark read: each with a comment on what became of it.

use std::io::{self, Write};

/// LINKTYPE_RAW: packets begin with their IP header.
const RAW: u16 = 101;

/// Blocks, by their numbers.
const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

/// Options, by their numbers; those from 2 on mean something else in each block.
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;
const RECEIVED: u16 = 4;
const DROPPED: u16 = 5;

/// A packet, or the front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// In nanoseconds since 1970.
    pub time: u64,
    /// How long it was.
    pub length: u32,
    /// What was kept of it.
    pub bytes: Vec<u8>,
    /// What became of it.
    pub comment: String,
}

/// What there was, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that were asked for.
    pub wanted: u64,
    /// Those of them that nobody had time to write.
    pub lost: u64,
}

/// Writes what comes before the first packet: whose capture it is, of which device, and with which filter.
///
/// # Errors
/// What `out` says; so for all of them.
pub fn begin(out: &mut impl Write, device: &str, filter: &str, snap_length: u32) -> io::Result<()> {
    let application = concat!("culvert-relay ", env!("CARGO_PKG_VERSION"));
    // Byte order, version 1.0, and a length that nobody knows yet.
    let head = [&0x1A2B_3C4D_u32.to_le_bytes()[..], &[1, 0, 0, 0], &u64::MAX.to_le_bytes()].concat();
    let options = [option(COMMENT, filter.as_bytes()), option(APPLICATION, application.as_bytes())].concat();
    block(out, SECTION, &head, &options)?;
    let head = [&RAW.to_le_bytes()[..], &[0, 0], &snap_length.to_le_bytes()].concat();
    // Nanoseconds: ten to the power of minus nine.
    block(out, INTERFACE, &head, &[option(NAME, device.as_bytes()), option(RESOLUTION, &[9])].concat())
}

/// Writes a packet.
#[expect(clippy::missing_errors_doc, reason = "as above")]
pub fn packet(out: &mut impl Write, packet: &Packet) -> io::Result<()> {
    let Packet { time, length, bytes, comment } = packet;
    let numbers = [0, (time >> 32) as u32, *time as u32, bytes.len() as u32, *length];
    let mut head: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
    head.extend(bytes);
    pad(&mut head);
    block(out, PACKET, &head, &option(COMMENT, comment.as_bytes()))
}

/// Writes how many there were until `time`, in nanoseconds since 1970.
#[expect(clippy::missing_errors_doc, reason = "as above")]
pub fn statistics(out: &mut impl Write, time: u64, counts: Counts) -> io::Result<()> {
    let head: Vec<u8> = [0, (time >> 32) as u32, time as u32].into_iter().flat_map(u32::to_le_bytes).collect();
    let options = [(RECEIVED, counts.wanted), (DROPPED, counts.lost)];
    block(out, STATISTICS, &head, &options.map(|(code, count)| option(code, &count.to_le_bytes())).concat())
}

fn block(out: &mut impl Write, kind: u32, head: &[u8], options: &[u8]) -> io::Result<()> {
    const END_OF_OPTIONS: [u8; 4] = [0; 4];
    let length = ((12 + head.len() + options.len() + END_OF_OPTIONS.len()) as u32).to_le_bytes();
    out.write_all(&[&kind.to_le_bytes(), &length, head, options, &END_OF_OPTIONS, &length].concat())
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    // What is longer than an option may be is a comment that is cut.
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    let mut option = [&code.to_le_bytes()[..], &(value.len() as u16).to_le_bytes(), value].concat();
    pad(&mut option);
    option
}

/// Everything ends on four bytes.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use pcap_parser::{Block, parse_block_le};

    use super::*;

    #[test]
    fn another_reader_finds_it_all() {
        let mut file = Vec::new();
        begin(&mut file, "culvert0", "--port=6600", 96).unwrap();
        let time = 1_764_000_000_123_456_789;
        let sent = Packet { time, length: 1500, bytes: vec![0x45; 97], comment: "verdict drop NoPort".into() };
        packet(&mut file, &sent).unwrap();
        statistics(&mut file, time, Counts { wanted: 2, lost: 1 }).unwrap();

        let (mut rest, mut blocks) = (&file[..], Vec::new());
        while !rest.is_empty() {
            let (behind, block) = parse_block_le(rest).unwrap();
            blocks.push(block);
            rest = behind;
        }
        let [
            Block::SectionHeader(_),
            Block::InterfaceDescription(interface),
            Block::EnhancedPacket(packet),
            Block::InterfaceStatistics(counts),
        ] = &blocks[..]
        else {
            panic!("{blocks:?}")
        };
        assert_eq!((interface.linktype.0, interface.snaplen, interface.if_tsresol), (101, 96, 9));
        assert_eq!((packet.origlen, packet.caplen, &packet.data[..97]), (1500, 97, &[0x45; 97][..]));
        assert_eq!(u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low), time);
        assert_eq!(&packet.options[0].value[..19], b"verdict drop NoPort");
        let numbers: Vec<_> = counts.options.iter().take(2).map(|option| (option.code.0, option.value[0])).collect();
        assert_eq!(numbers, [(4, 2), (5, 1)]);
    }
}
