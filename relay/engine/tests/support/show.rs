//! The way back: bytes as the text that [`crate::layers::parse`] reads, with what is wrong in them pointed out.

use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr},
};

use crate::layers::{checksum, transport_checksum};

/// A packet as text; every checksum that does not fit is named.
pub(crate) fn show(packet: &[u8]) -> String {
    let layers = match packet.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(packet),
        Some(6) => ipv6(packet),
        _ => vec![payload(packet)],
    };
    layers.into_iter().filter(|layer| !layer.is_empty()).collect::<Vec<_>>().join(" | ")
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn ipv4(packet: &[u8]) -> Vec<String> {
    let header = packet.first().map_or(0, |byte| usize::from(byte & 15) * 4);
    if header < 20 || packet.len() < header {
        return vec![payload(packet)];
    }
    let address = |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
    let mut line = format!("ipv4 src={} dst={} ttl={}", address(12), address(16), packet[8]);
    let fragment = be16(packet, 6);
    field(&mut line, "tos", packet[1].into());
    field(&mut line, "id", be16(packet, 4).into());
    line += if fragment & 0x4000 != 0 { " df" } else { "" };
    line += if fragment & 0x2000 != 0 { " mf" } else { "" };
    field(&mut line, "offset", u64::from(fragment & 0x1fff) * 8);
    if header > 20 {
        line += &format!(" options={}", hex(&packet[20..header]));
    }
    let total = usize::from(be16(packet, 2));
    if total != packet.len() {
        line += &format!(" len={total}");
    }
    if checksum(&[&packet[..header]]) != 0 {
        line += &format!(" checksum={:#06x}(BAD)", be16(packet, 10));
    }
    let end = total.clamp(header, packet.len());
    let is_whole = total <= packet.len() && fragment & 0x3fff == 0;
    let pseudo = is_whole.then(|| (packet[12..16].to_vec(), packet[16..20].to_vec()));
    let mut layers = upper(packet[9], &packet[header..end], pseudo, fragment & 0x1fff != 0);
    if !layers.first().is_some_and(|layer| named(layer, packet[9])) {
        line += &format!(" proto={}", packet[9]);
    }
    layers.insert(0, line);
    layers
}

fn ipv6(packet: &[u8]) -> Vec<String> {
    if packet.len() < 40 {
        return vec![payload(packet)];
    }
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).expect("text"));
    let word = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]);
    let mut line = format!("ipv6 src={} dst={} hop={}", address(8), address(24), packet[7]);
    field(&mut line, "tc", (word >> 20 & 0xff).into());
    line += if word & 0xf_ffff == 0 { "" } else { " flow=" };
    if word & 0xf_ffff != 0 {
        write!(line, "{:#07x}", word & 0xf_ffff).expect("text");
    }
    let length = usize::from(be16(packet, 4));
    if 40 + length != packet.len() {
        line += &format!(" len={length}");
    }
    let end = (40 + length).min(packet.len());
    let pseudo = (40 + length <= packet.len()).then(|| (packet[8..24].to_vec(), packet[24..40].to_vec()));
    let mut layers = upper(packet[6], &packet[40..end], pseudo, false);
    if !layers.first().is_some_and(|layer| named(layer, packet[6])) {
        line += &format!(" next={}", packet[6]);
    }
    layers.insert(0, line);
    layers
}

/// Whether the layer says by its name that it has this protocol number.
fn named(layer: &str, protocol: u8) -> bool {
    layer.split(' ').next() == name(protocol)
}

fn name(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        0 => "hopopts",
        1 => "icmp",
        4 => "ipv4",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        43 => "routing",
        44 => "frag",
        58 => "icmp6",
        60 => "dstopts",
        132 => "sctp",
        136 => "udplite",
        _ => return None,
    })
}

fn upper(protocol: u8, bytes: &[u8], pseudo: Option<(Vec<u8>, Vec<u8>)>, later: bool) -> Vec<String> {
    match (protocol, bytes.len()) {
        _ if later => vec![payload(bytes)],
        (4, _) => ipv4(bytes),
        (0 | 60, 8..) => options(protocol, bytes, pseudo),
        (43, 8..) => chain(format!("routing type={} left={}", bytes[2], bytes[3]), bytes, 8, pseudo),
        (44, 8..) => fragment(bytes),
        (6, 20..) | (17 | 136, 8..) | (33 | 132, 12..) | (1 | 58, 8..) => transport(protocol, bytes, pseudo),
        _ => vec![payload(bytes)],
    }
}

fn chain(line: String, bytes: &[u8], length: usize, pseudo: Option<(Vec<u8>, Vec<u8>)>) -> Vec<String> {
    let mut layers = upper(bytes[0], &bytes[length..], pseudo, false);
    layers.insert(0, line);
    layers
}

fn options(protocol: u8, bytes: &[u8], pseudo: Option<(Vec<u8>, Vec<u8>)>) -> Vec<String> {
    let length = (usize::from(bytes[1]) + 1) * 8;
    if length > bytes.len() {
        return vec![payload(bytes)];
    }
    let line = format!("{} options={}", name(protocol).unwrap_or_default(), hex(&bytes[2..length]));
    chain(line, bytes, length, pseudo)
}

fn fragment(bytes: &[u8]) -> Vec<String> {
    let offset = be16(bytes, 2);
    let mut line = String::from("frag");
    field(&mut line, "offset", (offset & 0xfff8).into());
    line += if offset & 1 != 0 { " more" } else { "" };
    let later = offset & 0xfff8 != 0;
    let next = if later { format!(" next={}", bytes[0]) } else { String::new() };
    let mut layers = upper(bytes[0], &bytes[8..], None, later);
    layers.insert(0, line + &next);
    layers
}

fn transport(protocol: u8, bytes: &[u8], pseudo: Option<(Vec<u8>, Vec<u8>)>) -> Vec<String> {
    let name = name(protocol).unwrap_or_default();
    let ports = || format!("{name} src={} dst={}", be16(bytes, 0), be16(bytes, 2));
    let (mut line, header, place) = match protocol {
        6 => return tcp(bytes, pseudo),
        17 | 136 => (ports(), 8, Some(6)),
        33 => (ports(), 16.min(bytes.len()), Some(6)),
        132 => (ports(), 12, None),
        _ => {
            let mut line = format!("{name} type={} code={}", bytes[0], bytes[1]);
            if matches!((protocol, bytes[0]), (1, 0 | 8 | 13..=18) | (58, 128 | 129)) {
                line += &format!(" id={} seq={}", be16(bytes, 4), be16(bytes, 6));
            } else {
                field(&mut line, "parameter", u64::from(be16(bytes, 4)) << 16 | u64::from(be16(bytes, 6)));
            }
            (line, 8, Some(2))
        }
    };
    line += &place.and_then(|place| verify(protocol, bytes, place, pseudo)).unwrap_or_default();
    let is_error = matches!((protocol, bytes[0]), (1, 3..=5 | 11 | 12) | (58, ..128));
    let rest = match (is_error, protocol) {
        (true, 1) => ipv4(&bytes[8..]),
        (true, _) => ipv6(&bytes[8..]),
        (false, _) => vec![payload(&bytes[header..])],
    };
    [vec![line], rest].concat()
}

fn tcp(bytes: &[u8], pseudo: Option<(Vec<u8>, Vec<u8>)>) -> Vec<String> {
    let letters = [(1, 'F'), (2, 'S'), (4, 'R'), (8, 'P'), (16, 'A')];
    let flags: String = letters.iter().filter(|(bit, _)| bytes[13] & bit != 0).map(|(_, letter)| *letter).collect();
    let mut line = format!("tcp src={} dst={} flags={flags}", be16(bytes, 0), be16(bytes, 2));
    let header = (usize::from(bytes[12] >> 4) * 4).clamp(20, bytes.len());
    match &bytes[20..header] {
        [] => {}
        [2, 4, high, low] => line += &format!(" mss={}", u16::from_be_bytes([*high, *low])),
        options => line += &format!(" options={}", hex(options)),
    }
    line += &verify(6, bytes, 16, pseudo).unwrap_or_default();
    vec![line, payload(&bytes[header..])]
}

/// Names a transport checksum that is wrong; one over a part of a packet cannot be told.
fn verify(protocol: u8, bytes: &[u8], place: usize, pseudo: Option<(Vec<u8>, Vec<u8>)>) -> Option<String> {
    let pseudo = pseudo?;
    let sum = transport_checksum(protocol, bytes, Some(pseudo));
    (sum != 0).then(|| format!(" checksum={:#06x}(BAD)", be16(bytes, place)))
}

fn payload(bytes: &[u8]) -> String {
    let counted =
        |from: u8| bytes.iter().zip(0..).all(|(byte, at)| usize::from(*byte) == (usize::from(from) + at) % 251);
    match bytes {
        [] => String::new(),
        bytes if bytes.iter().all(|byte| *byte == 0) => format!("zeros={}", bytes.len()),
        bytes if bytes.iter().all(u8::is_ascii_alphanumeric) => format!("text={}", String::from_utf8_lossy(bytes)),
        [0, ..] if counted(0) => format!("count={}", bytes.len()),
        [first, ..] if bytes.len() > 8 && counted(*first) => format!("count={} from={first}", bytes.len()),
        bytes => format!("hex={}", hex(bytes)),
    }
}

fn field(line: &mut String, name: &str, value: u64) {
    if value != 0 {
        write!(line, " {name}={value}").expect("text");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
