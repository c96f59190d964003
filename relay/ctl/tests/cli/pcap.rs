//! Captures, made and read by other code than the one under test.

/// Seconds, a fraction in the capture's unit, and a frame.
pub(super) type Record = (u32, u32, Vec<u8>);

/// A capture to be made.
pub(super) struct Pcap {
    pub(super) is_big_endian: bool,
    pub(super) is_nanosecond: bool,
    pub(super) link: u32,
    pub(super) records: Vec<Record>,
}

impl Default for Pcap {
    fn default() -> Self {
        Self { is_big_endian: false, is_nanosecond: false, link: 101, records: Vec::new() }
    }
}

impl Pcap {
    pub(super) fn of(records: Vec<Record>) -> Self {
        Self { records, ..Self::default() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let magic = if self.is_nanosecond { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut bytes = Vec::new();
        self.put(&mut bytes, &[magic]);
        let (major, minor) = (2u16, 4u16);
        for half in [major, minor] {
            bytes.extend(if self.is_big_endian { half.to_be_bytes() } else { half.to_le_bytes() });
        }
        self.put(&mut bytes, &[0, 0, 65535, self.link]);
        for (seconds, fraction, frame) in &self.records {
            let length = frame.len() as u32;
            self.put(&mut bytes, &[*seconds, *fraction, length, length]);
            bytes.extend(frame);
        }
        bytes
    }

    fn put(&self, bytes: &mut Vec<u8>, fields: &[u32]) {
        for field in fields {
            bytes.extend(if self.is_big_endian { field.to_be_bytes() } else { field.to_le_bytes() });
        }
    }
}

/// A pcapng capture of one interface, little-endian, with a time resolution of 10^-`resolution` s.
pub(super) fn pcapng(link: u16, resolution: u8, records: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let section = [0x1a2b_3c4du32.to_le_bytes().as_slice(), &[1, 0, 0, 0], &[0xff; 8]].concat();
    let options = [9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0];
    let interface = [link.to_le_bytes().as_slice(), &[0, 0, 0, 0, 4, 0], &options].concat();
    let mut bytes = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
    for (time, frame) in records {
        let length = (frame.len() as u32).to_le_bytes();
        let (high, low) = ((time >> 32) as u32, *time as u32);
        let mut packet = [&[0; 4], &high.to_le_bytes()[..], &low.to_le_bytes(), &length, &length, frame].concat();
        packet.resize(packet.len().next_multiple_of(4), 0);
        bytes.extend(block(6, &packet));
    }
    bytes
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 12).to_le_bytes();
    [kind.to_le_bytes().as_slice(), &length, body, &length].concat()
}

/// Reads what was written: whether in nanoseconds, the link type, and the records.
pub(super) fn read(bytes: &[u8]) -> (bool, u32, Vec<Record>) {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let is_nanosecond = match word(0) {
        0xa1b2_3c4d => true,
        0xa1b2_c3d4 => false,
        magic => panic!("{magic:#x}"),
    };
    let mut records = Vec::new();
    let mut at = 24;
    while at < bytes.len() {
        let length = word(at + 8) as usize;
        records.push((word(at), word(at + 4), bytes[at + 16..at + 16 + length].to_vec()));
        at += 16 + length;
    }
    (is_nanosecond, word(20), records)
}

/// UDP from the Internet to the seed's CE.
pub(super) fn to_ce(port: u16) -> Vec<u8> {
    ipv4([198, 51, 100, 10], 443, [67, 91, 205, 2], port, 28)
}

/// UDP from the seed's CE to the Internet, from an outer source that ends in `last`: 0x9c is right.
pub(super) fn from_ce(last: u8) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 28, 4, 64];
    packet.extend([0x20, 1, 0xd, 0xb8, 0, 0xce, 2, 0x9c, 0, 0, 0x43, 0x5b, 0xcd, 2, 0, last]);
    packet.extend([0x30, 1, 0xd, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend(ipv4([67, 91, 205, 2], 6600, [198, 51, 100, 10], 443, 28));
    packet
}

pub(super) fn ipv4(source: [u8; 4], source_port: u16, destination: [u8; 4], port: u16, size: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(size.to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    packet.extend(source);
    packet.extend(destination);
    let sum: u32 = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(source_port.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend((size - 20).to_be_bytes());
    packet.resize(size.into(), 0);
    packet
}
