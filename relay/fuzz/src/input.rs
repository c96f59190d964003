//! How bytes become packets. A fuzzer cannot guess checksums or addresses, so a record may ask for them.
//!
//! ```text
//! input  = options record*          options: bit 0: the kernel takes the TTL
//! record = wishes step length zeros bytes
//! packet = wishes zeros bytes
//! ```
//!
//! `wishes` is a set of [`wish`] bits; `step` is the time since the packet before, in 4 ms: packets with 0 share a batch;
//! `length` (two bytes, big-endian) says how many `bytes` follow, and `zeros` (alike) how many zero bytes the packet has
//! behind them, so that large packets need no large input. `parse` takes a single `packet`.

use engine::{Ttl, wire};
use mape::Fleet;

/// What a record may ask for, once the packet stands.
pub(crate) mod wish {
    /// IPv4 total length and IPv6 payload length.
    pub(crate) const LENGTHS: u8 = 1;
    /// IPv4 header checksums.
    pub(crate) const CHECKSUMS: u8 = 2;
    /// The outer source that the inner source leads to, and the BR address of its domain.
    pub(crate) const CE_ADDRESS: u8 = 4;
}

/// Packets, in the order they come.
pub(crate) struct Input {
    pub(crate) ttl: Ttl,
    pub(crate) moments: Vec<Moment>,
}

/// Packets that come at once.
pub(crate) struct Moment {
    /// In nanoseconds since the first.
    pub(crate) now: u64,
    pub(crate) packets: Vec<Vec<u8>>,
}

const MAX_ZEROS: usize = 3000;
const STEP: u64 = 4_000_000;

impl Input {
    pub(crate) fn read(bytes: &[u8], fleet: &Fleet) -> Self {
        let (options, mut rest) = bytes.split_first().unwrap_or((&0, &[]));
        let ttl = if options & 1 == 0 { Ttl::Engine } else { Ttl::Kernel };
        let mut moments: Vec<Moment> = Vec::new();
        let mut now = 0;
        while let [wishes, step, a, b, c, d, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*a, *b])).min(after.len());
            let (bytes, after) = after.split_at(length);
            rest = after;
            let packet = packet_of(*wishes, [*c, *d], bytes, fleet);
            now += u64::from(*step) * STEP;
            match moments.last_mut().filter(|moment| moment.now == now) {
                Some(moment) => moment.packets.push(packet),
                None => moments.push(Moment { now, packets: vec![packet] }),
            }
        }
        Self { ttl, moments }
    }
}

/// A single packet; the empty one for an input that is too short.
pub(crate) fn packet(bytes: &[u8], fleet: &Fleet) -> Vec<u8> {
    match bytes {
        [wishes, c, d, bytes @ ..] => packet_of(*wishes, [*c, *d], bytes, fleet),
        _ => Vec::new(),
    }
}

fn packet_of(wishes: u8, zeros: [u8; 2], bytes: &[u8], fleet: &Fleet) -> Vec<u8> {
    let zeros = usize::from(u16::from_be_bytes(zeros)) % MAX_ZEROS;
    let mut packet = [bytes, &vec![0; zeros]].concat();
    grant(wishes, &mut packet, fleet);
    packet
}

fn grant(wishes: u8, packet: &mut [u8], fleet: &Fleet) {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => grant_ipv4(wishes, packet),
        Some(6) if packet.len() >= wire::IPV6_HEADER => {
            let (outer, inner) = packet.split_at_mut(wire::IPV6_HEADER);
            if wishes & wish::LENGTHS != 0 {
                outer[4..6].copy_from_slice(&(inner.len() as u16).to_be_bytes());
            }
            if outer[6] == wire::protocol::IPV4 {
                grant_ipv4(wishes, inner);
                grant_addresses(wishes, outer, inner, fleet);
            }
        }
        _ => {}
    }
}

fn grant_ipv4(wishes: u8, packet: &mut [u8]) {
    let header = packet.first().map_or(0, |byte| usize::from(byte & 15) * 4);
    if header < wire::IPV4_HEADER || header > packet.len() {
        return;
    }
    if wishes & wish::LENGTHS != 0 {
        let total = packet.len() as u16;
        packet[2..4].copy_from_slice(&total.to_be_bytes());
    }
    if wishes & wish::CHECKSUMS != 0 {
        packet[10..12].fill(0);
        let sum = wire::checksum(&packet[..header]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

fn grant_addresses(wishes: u8, outer: &mut [u8], inner: &[u8], fleet: &Fleet) {
    let (Some(source), true) = (inner.get(12..16), wishes & wish::CE_ADDRESS != 0) else { return };
    let source = <[u8; 4]>::try_from(source).map(Into::into);
    let header = usize::from(inner[0] & 15) * 4;
    // In ICMP the identifier stands for the port.
    let at = header + if inner[9] == wire::protocol::ICMP { 4 } else { 0 };
    let port = inner.get(at..at + 2).map(|port| u16::from_be_bytes([port[0], port[1]]));
    if let Ok(target) = source.map_err(drop).and_then(|source| fleet.to_ce(source, port).map_err(drop)) {
        outer[8..24].copy_from_slice(&target.ce_address.octets());
        outer[24..40].copy_from_slice(&target.domain.softwire_address().octets());
    }
}
