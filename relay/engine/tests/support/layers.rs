//! Packets as text, for the cases: `ipv4 src=198.51.100.10 dst=67.91.205.2 ttl=64 | udp src=53 dst=6600 | text=hello`.
//!
//! Layers are separated by `|`. Lengths, protocols and checksums are filled in; whatever is given wins, so that broken
//! packets can be written too. See `cases/README.md` for the words.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

/// One layer: its name and its fields. Flags have an empty value.
pub(crate) struct Layer<'t> {
    name: &'t str,
    fields: BTreeMap<&'t str, &'t str>,
}

/// The bytes of a packet written as text.
///
/// # Panics
/// If the text is no packet: the message says what is wrong with it.
pub(crate) fn parse(text: &str) -> Vec<u8> {
    let layers: Vec<Layer<'_>> = text.split('|').map(Layer::parse).collect();
    build(&layers, None)
}

impl<'t> Layer<'t> {
    fn parse(text: &'t str) -> Self {
        let mut words = text.split_whitespace();
        let first = words.next().expect("a layer has a name");
        // A payload is a field without a name before it.
        let (name, words) = if first.contains('=') { ("payload", text) } else { (first, &text.trim()[first.len()..]) };
        let fields = words.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, ""))).collect();
        Self { name, fields }
    }

    fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    fn number(&self, field: &str) -> Option<u64> {
        let text = self.fields.get(field)?;
        let number = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
        Some(number.unwrap_or_else(|_| panic!("{} {field}={text} is no number", self.name)))
    }

    fn or(&self, field: &str, default: u64) -> u64 {
        self.number(field).unwrap_or(default)
    }

    fn octets(&self, field: &str) -> Vec<u8> {
        let text = self.fields.get(field).unwrap_or_else(|| panic!("{} has no {field}", self.name));
        if text.contains(':') {
            return text.parse::<Ipv6Addr>().unwrap_or_else(|_| panic!("{text} is no address")).octets().into();
        }
        text.parse::<Ipv4Addr>().unwrap_or_else(|_| panic!("{text} is no address")).octets().into()
    }

    fn hex(&self, field: &str) -> Vec<u8> {
        let text = self.fields.get(field).copied().unwrap_or_default();
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap_or_else(|_| panic!("{text} is no hex"));
        (0..text.len()).step_by(2).map(byte).collect()
    }
}

/// The protocol number of a layer.
fn protocol(name: &str) -> u8 {
    match name {
        "hopopts" => 0,
        "icmp" => 1,
        "ipv4" => 4,
        "tcp" => 6,
        "udp" => 17,
        "dccp" => 33,
        "ipv6" => 41,
        "routing" => 43,
        "frag" => 44,
        "icmp6" => 58,
        "dstopts" => 60,
        "sctp" => 132,
        "udplite" => 136,
        _ => 59,
    }
}

/// The sum that a transport checksum begins with.
type Pseudo = Option<(Vec<u8>, Vec<u8>)>;

fn build(layers: &[Layer<'_>], pseudo: Pseudo) -> Vec<u8> {
    let Some((layer, rest)) = layers.split_first() else { return Vec::new() };
    let next = rest.first().map_or(59, |layer| protocol(layer.name));
    match layer.name {
        "payload" => [payload(layer), build(rest, None)].concat(),
        "padding" => payload(layer),
        "ipv4" => ipv4(layer, next, rest),
        "ipv6" => ipv6(layer, next, rest),
        "hopopts" | "dstopts" => {
            let mut options = layer.hex("options");
            options.resize((options.len() + 2).next_multiple_of(8) - 2, 0);
            let units = layer.or("len", (options.len() as u64 + 2) / 8 - 1) as u8;
            [vec![layer.or("next", next.into()) as u8, units], options, build(rest, pseudo)].concat()
        }
        "routing" => {
            let header = [layer.or("next", next.into()) as u8, 0, layer.or("type", 4) as u8, layer.or("left", 0) as u8];
            [header.to_vec(), vec![0; 4], build(rest, pseudo)].concat()
        }
        "frag" => {
            let field = layer.or("offset", 0) as u16 | u16::from(layer.has("more"));
            let id = (layer.or("id", 1) as u32).to_be_bytes();
            let header = [vec![layer.or("next", next.into()) as u8, 0], field.to_be_bytes().to_vec(), id.to_vec()];
            [header.concat(), build(rest, pseudo)].concat()
        }
        name => transport(name, layer, build(rest, None), pseudo),
    }
}

fn payload(layer: &Layer<'_>) -> Vec<u8> {
    let text = layer.fields.get("text").map(|text| text.as_bytes().to_vec()).unwrap_or_default();
    let zeros = vec![0; layer.or("zeros", 0) as usize];
    let from = layer.or("from", 0) as usize;
    let count = (0..layer.or("count", 0) as usize).map(|at| ((from + at) % 251) as u8).collect();
    [text, layer.hex("hex"), zeros, count].concat()
}

fn ipv4(layer: &Layer<'_>, next: u8, rest: &[Layer<'_>]) -> Vec<u8> {
    let (source, destination) = (layer.octets("src"), layer.octets("dst"));
    let options = layer.hex("options");
    let (rest, padding) = split_padding(rest);
    let payload = build(rest, Some((source.clone(), destination.clone())));
    let header = 20 + options.len();
    let flags = if layer.has("df") { 0x4000 } else { 0 } | if layer.has("mf") { 0x2000 } else { 0 };
    let fragment = flags | (layer.or("offset", 0) / 8) as u16;
    let mut bytes = vec![(layer.or("version", 4) << 4 | layer.or("ihl", header as u64 / 4)) as u8];
    bytes.push(layer.or("tos", 0) as u8);
    bytes.extend((layer.or("len", (header + payload.len()) as u64) as u16).to_be_bytes());
    bytes.extend((layer.or("id", 0) as u16).to_be_bytes());
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([layer.or("ttl", 64) as u8, layer.or("proto", next.into()) as u8, 0, 0]);
    bytes.extend([source, destination, options].concat());
    let sum = layer.or("checksum", checksum(&[&bytes]).into()) as u16;
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    [bytes, payload, build(padding, None)].concat()
}

fn ipv6(layer: &Layer<'_>, next: u8, rest: &[Layer<'_>]) -> Vec<u8> {
    let (source, destination) = (layer.octets("src"), layer.octets("dst"));
    let (rest, padding) = split_padding(rest);
    let payload = build(rest, Some((source.clone(), destination.clone())));
    let word = 6 << 28 | (layer.or("tc", 0) as u32) << 20 | layer.or("flow", 0) as u32;
    let mut bytes = word.to_be_bytes().to_vec();
    bytes.extend((layer.or("len", payload.len() as u64) as u16).to_be_bytes());
    bytes.extend([layer.or("next", next.into()) as u8, layer.or("hop", 64) as u8]);
    [bytes, source, destination, payload, build(padding, None)].concat()
}

/// Link padding is in no length field.
fn split_padding<'l, 't>(layers: &'l [Layer<'t>]) -> (&'l [Layer<'t>], &'l [Layer<'t>]) {
    let padding = usize::from(layers.last().is_some_and(|layer| layer.name == "padding"));
    layers.split_at(layers.len() - padding)
}

fn transport(name: &str, layer: &Layer<'_>, payload: Vec<u8>, pseudo: Pseudo) -> Vec<u8> {
    let ports = [layer.or("src", 0) as u16, layer.or("dst", 0) as u16].map(u16::to_be_bytes).concat();
    let (header, place) = match name {
        "udp" | "udplite" => {
            let coverage = if name == "udp" { 8 + payload.len() } else { 0 };
            ([ports, (coverage as u16).to_be_bytes().to_vec(), vec![0; 2]].concat(), 6)
        }
        "tcp" => (tcp(layer, &ports), 16),
        "sctp" => ([ports, vec![0; 8]].concat(), usize::MAX),
        "dccp" => ([ports, vec![4, 0, 0, 0], vec![0; 8]].concat(), 6),
        "icmp" | "icmp6" => {
            let rest = if layer.has("id") {
                vec![layer.or("id", 0) as u16, layer.or("seq", 1) as u16]
            } else {
                vec![(layer.or("parameter", 0) >> 16) as u16, layer.or("parameter", 0) as u16]
            };
            let rest: Vec<u8> = rest.into_iter().flat_map(u16::to_be_bytes).collect();
            ([vec![layer.or("type", 8) as u8, layer.or("code", 0) as u8, 0, 0], rest].concat(), 2)
        }
        name => panic!("there is no layer {name}"),
    };
    let mut bytes = [header, payload].concat();
    if place < bytes.len() {
        let sum = layer.or("checksum", transport_checksum(protocol(name), &bytes, pseudo).into()) as u16;
        bytes[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

fn tcp(layer: &Layer<'_>, ports: &[u8]) -> Vec<u8> {
    let mss = layer.number("mss").map(|mss| [vec![2, 4], (mss as u16).to_be_bytes().to_vec()].concat());
    let mut options = mss.unwrap_or_else(|| layer.hex("options"));
    options.resize(options.len().next_multiple_of(4), 0);
    let flag = |letter: char| match letter {
        'F' => 1,
        'S' => 2,
        'R' => 4,
        'P' => 8,
        'A' => 16,
        letter => panic!("TCP has no flag {letter}"),
    };
    let flags: u8 = layer.fields.get("flags").unwrap_or(&"A").chars().map(flag).sum();
    let length = (layer.or("header", (20 + options.len() as u64) / 4) as u8) << 4;
    [ports.to_vec(), vec![0; 8], vec![length, flags, 0xff, 0xff, 0, 0, 0, 0], options].concat()
}

/// The checksum of a transport segment whose checksum field is zero.
pub(crate) fn transport_checksum(protocol: u8, segment: &[u8], pseudo: Pseudo) -> u16 {
    let Some((source, destination)) = pseudo.filter(|_| protocol != 1) else { return checksum(&[segment]) };
    let length = (segment.len() as u32).to_be_bytes();
    checksum(&[&source, &destination, &length, &[0, 0, 0, protocol], segment])
}

/// The Internet checksum of `parts`, of which all but the last have an even length (RFC 1071), summed the slow way.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words.map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |low| u32::from(*low))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !sum as u16
}
