//! What is played: a fleet, some datagrams, and steps that send them, whole or in pieces. All of it is plain data, so
//! that a failure shrinks to something readable.

use std::fmt;

use mape::DomainConfig;
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    datagrams::{Datagram, datagram},
    fleets::domains,
};

#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) domains: Vec<DomainConfig>,
    /// Whether the kernel takes the TTL.
    pub(crate) kernel: bool,
    pub(crate) datagrams: Vec<Datagram>,
    pub(crate) steps: Vec<Step>,
}

/// A line for each thing, however proptest wants to print it. Rules follow from the number of their domain, see `fleets`.
impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel: {}", self.kernel)?;
        for DomainConfig { name, softwire_address, version, rules, options, .. } in &self.domains {
            let shared = &rules[0];
            writeln!(
                f,
                "{name} {softwire_address} {version:?} a={} {} {options:?}",
                shared.psid_offset, shared.mape_prefix
            )?;
        }
        self.datagrams.iter().enumerate().try_for_each(|(number, datagram)| writeln!(f, "{number}: {datagram:?}"))?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step:?}"))
    }
}

/// One packet, some time after the one before.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) milliseconds: u32,
    pub(crate) send: Send,
    pub(crate) changes: Vec<Change>,
}

#[derive(Debug, Clone)]
pub(crate) enum Send {
    /// One of the datagrams, or a piece of it.
    Datagram { which: Index, inner: Piece, outer: Piece },
    /// An ICMPv6 error about one of the tunnel packets that left so far.
    Error(Box<ErrorAbout>),
    /// Any other ICMPv6 message to a relay.
    Icmp6 { kind: u8, length: usize, relay: Index, source: Sender, sound: bool },
}

/// Which part of a payload.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece {
    Whole,
    /// One of the parts that the datagram is cut into, if it is cut into so many.
    Part(u8),
    /// Anything, in units of 8 bytes, and some bytes too many.
    Odd {
        offset: u16,
        length: u16,
        spare: u8,
        more: bool,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct ErrorAbout {
    pub(crate) which: Index,
    pub(crate) kind: u8,
    pub(crate) parameter: u32,
    /// As much of the packet is quoted.
    pub(crate) quoted: usize,
    /// What follows it: RFC 4884 extensions of a length, filled with a byte.
    pub(crate) extensions: Option<(usize, u8)>,
    /// A byte of the quoted packet that is another.
    pub(crate) forged: Option<(Index, u8)>,
    pub(crate) sound: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Sender {
    Host,
    Multicast,
    Nobody,
    Relay,
}

/// A change to the bytes of a packet.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Byte(Index, u8),
    /// In the first 60 bytes.
    Early(u8, u8),
    Cut(Index),
    Padding(u8),
    /// IPv4 header checksums, outside and inside, are made right again.
    Seal,
}

pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    let steps = prop_oneof![2 => step().prop_map(|step| vec![step]), 1 => flight()];
    let swaps = vec((any::<Index>(), any::<Index>()), 0..4);
    (domains(), any::<bool>(), vec(datagram(), 1..6), vec(steps, 1..14), swaps).prop_map(
        |(domains, kernel, datagrams, steps, swaps)| {
            let mut steps = steps.concat();
            let length = steps.len();
            swaps.iter().for_each(|(one, other)| steps.swap(one.index(length), other.index(length)));
            Scenario { domains, kernel, datagrams, steps }
        },
    )
}

/// All parts of a datagram, in any order, close together.
fn flight() -> impl Strategy<Value = Vec<Step>> {
    let parts = |count: u8| (0..count).map(Piece::Part);
    let inner: Vec<_> = parts(4).map(|inner| (inner, Piece::Whole)).collect();
    let outer: Vec<_> = parts(4).map(|outer| (Piece::Whole, outer)).collect();
    let both: Vec<_> = parts(2).flat_map(|inner| parts(2).map(move |outer| (inner, outer))).collect();
    let pieces = prop_oneof![4 => Just(inner), 3 => Just(outer), 1 => Just(both)].prop_shuffle();
    (any::<Index>(), pieces, 0..20u32).prop_map(|(which, pieces, milliseconds)| {
        let step =
            |(inner, outer)| Step { milliseconds, send: Send::Datagram { which, inner, outer }, changes: vec![] };
        pieces.into_iter().map(step).collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let milliseconds = prop_oneof![6 => Just(0u32), 6 => 0..50u32, 1 => 300..1100u32, 1 => 0..3000u32];
    let changes = prop_oneof![8 => Just(vec![]), 2 => vec(change(), 1..4)];
    (milliseconds, send(), changes).prop_map(|(milliseconds, send, changes)| Step { milliseconds, send, changes })
}

fn send() -> impl Strategy<Value = Send> {
    let datagram =
        (any::<Index>(), pieces()).prop_map(|(which, (inner, outer))| Send::Datagram { which, inner, outer });
    prop_oneof![20 => datagram, 3 => error().prop_map(|error| Send::Error(Box::new(error))), 2 => icmp6()]
}

fn pieces() -> impl Strategy<Value = (Piece, Piece)> {
    prop_oneof![
        3 => Just((Piece::Whole, Piece::Whole)),
        5 => piece().prop_map(|inner| (inner, Piece::Whole)),
        4 => piece().prop_map(|outer| (Piece::Whole, outer)),
        1 => (piece(), piece()),
    ]
}

fn piece() -> impl Strategy<Value = Piece> {
    let odd = (prop_oneof![4 => 0..40u16, 1 => any::<u16>()], 0..200u16, 0..8u8, any::<bool>());
    let odd = odd.prop_map(|(offset, length, spare, more)| Piece::Odd { offset, length, spare, more });
    prop_oneof![12 => (0..4u8).prop_map(Piece::Part), 1 => odd]
}

fn error() -> impl Strategy<Value = ErrorAbout> {
    let extensions = (prop_oneof![4 => 4..40usize, 1 => 400..440usize], any::<u8>());
    let says = (1..=4u8, prop_oneof![Just(1280u32), 1200..1600u32, any::<u32>()], prop::bool::weighted(0.95));
    let quotes = (prop_oneof![3 => 100..1300usize, 1 => 0..160usize], prop::option::weighted(0.3, extensions));
    let forged = prop::option::weighted(0.2, (any::<Index>(), any::<u8>()));
    (any::<Index>(), says, quotes, forged).prop_map(|(which, says, quotes, forged)| {
        let ((kind, parameter, sound), (quoted, extensions)) = (says, quotes);
        ErrorAbout { which, kind, parameter, quoted, extensions, forged, sound }
    })
}

fn icmp6() -> impl Strategy<Value = Send> {
    let kind = prop_oneof![6 => Just(128u8), 1 => Just(135u8), 1 => any::<u8>()];
    let length = prop_oneof![1 => 0..12usize, 3 => 8..100usize, 1 => 1200..4000usize];
    let source = prop_oneof![
        9 => Just(Sender::Host), 1 => Just(Sender::Multicast), 1 => Just(Sender::Nobody), 1 => Just(Sender::Relay)
    ];
    (kind, length, any::<Index>(), source, prop::bool::weighted(0.9))
        .prop_map(|(kind, length, relay, source, sound)| Send::Icmp6 { kind, length, relay, source, sound })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        4 => (0..80u8, any::<u8>()).prop_map(|(at, byte)| Change::Early(at, byte)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => any::<u8>().prop_map(Change::Padding),
        4 => Just(Change::Seal),
    ]
}
