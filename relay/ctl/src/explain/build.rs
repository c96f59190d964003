//! From words to bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use engine::wire::{
    IPV4_HEADER, add, checksum, first_word, fold, halves, ipv4_header, ipv6_header,
    protocol::{DCCP, ICMP, IPV4, SCTP, TCP, UDP, UDP_LITE},
};
use mape::Fleet;

use super::args::{Endpoint, PacketArgs};

/// The packet that the command line describes.
pub(super) fn packet(args: &PacketArgs, fleet: &Fleet) -> Result<Vec<u8>, String> {
    if let Some(text) = &args.hex {
        return hex(text);
    }
    let peer = Endpoint { address: PEER, port: Some(443) };
    let (source, destination) = (args.src.unwrap_or(peer), args.dst.unwrap_or(peer));
    let (ce, option) = if args.from_ce { (source, "--src") } else { (destination, "--dst") };
    if ce.port.is_none() && least(args.proto.0) > 0 {
        return Err(format!(
            "{option} needs a port, as in {option} {}:6600 (any, if the address is not shared)",
            ce.address
        ));
    }
    let inner = ipv4(args, source, destination)?;
    if args.to_ce { Ok(inner) } else { tunnel(args, fleet, source, &inner) }
}

/// A host on the Internet, of the addresses for documentation (RFC 5737).
const PEER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);

fn ipv4(args: &PacketArgs, source: Endpoint, destination: Endpoint) -> Result<Vec<u8>, String> {
    let header = usize::from(least(args.proto.0));
    let size = args.size.map_or(IPV4_HEADER + header, usize::from);
    if size < IPV4_HEADER + header {
        return Err(format!("--size {size} has no room for the headers: {} bytes", IPV4_HEADER + header));
    }
    let mut packet = ipv4_header(0, size, args.proto.0, source.address, destination.address).to_vec();
    packet[6] = if args.df { 0x40 } else { 0 };
    packet[8] = args.ttl;
    packet[10..12].fill(0);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.resize(size, 0);
    let ce = if args.to_ce { destination } else { source };
    transport(args.proto.0, &mut packet, source.port.unwrap_or(0), destination.port.unwrap_or(0), ce.port.unwrap_or(0));
    Ok(packet)
}

/// Writes the transport header of a packet that has room for it.
fn transport(protocol: u8, packet: &mut [u8], source: u16, destination: u16, identifier: u16) {
    let (header, payload) = packet.split_at_mut(IPV4_HEADER);
    let length = payload.len() as u16;
    if protocol == ICMP {
        payload[..2].copy_from_slice(&[8, 0]);
        payload[4..6].copy_from_slice(&identifier.to_be_bytes());
        let sum = checksum(payload);
        payload[2..4].copy_from_slice(&sum.to_be_bytes());
    } else if least(protocol) > 0 {
        payload[..2].copy_from_slice(&source.to_be_bytes());
        payload[2..4].copy_from_slice(&destination.to_be_bytes());
    }
    if protocol == UDP {
        // No checksum: it is optional over IPv4 (RFC 768).
        payload[4..6].copy_from_slice(&length.to_be_bytes());
    }
    if protocol == TCP {
        // Five words of header; ACK.
        payload[12..14].copy_from_slice(&[0x50, 0x10]);
        let pseudo = [0, TCP, length.to_be_bytes()[0], length.to_be_bytes()[1]];
        let sum = u16::from_be(!fold(add(add(add(0, &header[12..20]), &pseudo), payload)));
        payload[16..18].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The least length of the header of a protocol with ports, or what stands for them.
fn least(protocol: u8) -> u8 {
    match protocol {
        TCP => 20,
        UDP | UDP_LITE | ICMP => 8,
        SCTP | DCCP => 12,
        _ => 0,
    }
}

fn tunnel(args: &PacketArgs, fleet: &Fleet, source: Endpoint, inner: &[u8]) -> Result<Vec<u8>, String> {
    let owner = fleet.to_ce(source.address, source.port).ok();
    let outer_source = args.outer_src.or(owner.map(|target| target.ce_address));
    let outer_source = outer_source.ok_or("--outer-src is needed: no CE owns --src, so none is there to send it")?;
    let claimed = fleet.longest(source.address).map(|(domain, _)| domain).next();
    let domain = owner.map(|target| target.domain).or(claimed).or(fleet.domains().first());
    let relay = args.br.or(domain.map(mape::Domain::softwire_address)).unwrap_or(Ipv6Addr::UNSPECIFIED);
    let length = inner.len();
    let mut packet = ipv6_header(first_word(0, 0), length, IPV4, halves(outer_source), halves(relay)).to_vec();
    packet.extend_from_slice(inner);
    Ok(packet)
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = text.chars().filter(|digit| !digit.is_whitespace() && *digit != ':').collect();
    if !digits.len().is_multiple_of(2) {
        return Err(format!("--hex has {} digits: half a byte is missing", digits.len()));
    }
    let byte = |pair: &[char]| {
        let pair: String = pair.iter().collect();
        let is_hex = pair.chars().all(|digit| digit.is_ascii_hexdigit());
        let value = u8::from_str_radix(&pair, 16).ok().filter(|_| is_hex);
        value.ok_or_else(|| format!("--hex has `{pair}` in it, which is no byte"))
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_as_people_paste_it() {
        assert_eq!(hex("45 00\n00:1c"), Ok(vec![0x45, 0, 0, 0x1c]));
        assert!(hex("450").is_err());
        assert!(hex("+1").is_err());
        assert!(hex("zz").is_err());
    }
}
