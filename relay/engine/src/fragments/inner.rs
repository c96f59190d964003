//! IPv4 fragments whose CE only a port tells. Either the first fragment's port decides for all (`Virtual`), or the datagram
//! is joined first (`Full`).

use mape::options::ReassemblyV4;

use crate::{
    DropReason,
    engine::Visit,
    fragments::{
        join::{Datagram, Piece, join},
        store::{Content, Key, Kind, Losses, OVERHEAD, Store},
        waiting::Waiting,
    },
    to_ce::find_port::{Flow, Side, find_port, may_have_port},
    wire::{FRAGMENT_OFFSET, IPV6_HEADER, Ipv4, MORE_FRAGMENTS, checksum, first_word, ipv6_header, protocol},
};

/// Where on its way a fragment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    ToCe,
    FromCe,
    /// From a CE, on the way to another one.
    Hairpin,
}

/// A fragment of an address that CEs share.
#[derive(Debug)]
pub(crate) struct Fragment<'p> {
    pub(crate) stage: Stage,
    pub(crate) inner: &'p Ipv4,
    /// The packet as it came, to be judged again.
    pub(crate) original: &'p [u8],
    /// Where in it the IPv4 header begins.
    pub(crate) at: usize,
    /// Outer source and destination; zeros where there is no tunnel yet.
    pub(crate) tunnel: [[u64; 2]; 2],
    /// The TOS it goes on with; `None` if the outer header's congestion mark cannot be passed on.
    pub(crate) tos: Option<u8>,
    /// What fits the tunnel that it is about to enter.
    pub(crate) mtu: Option<usize>,
}

/// Why a fragment does not go on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Drop(DropReason),
    /// It waits.
    Held,
    /// It completed a datagram, which is now the next to be judged.
    Joined,
}

impl From<DropReason> for Step {
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}

/// What the first fragment of a datagram said.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    flow: Flow,
    /// How much of the transport header it held: no other fragment may say that again.
    covered: usize,
}

/// Finds the flow that a fragment belongs to, by what is kept in `domain`.
#[cold]
pub(crate) fn place(
    visit: &mut Visit<'_>,
    domain: u32,
    mode: ReassemblyV4,
    fragment: &Fragment<'_>,
) -> Result<Flow, Step> {
    if !may_have_port(fragment.inner.protocol) {
        return Err(DropReason::NoPort.into());
    }
    if mode == ReassemblyV4::Disabled {
        return Err(DropReason::FragmentsDisabled.into());
    }
    fragment.check()?;
    if mode == ReassemblyV4::Full {
        return Err(fragment
            .join(visit, domain)
            .map_or_else(Step::Drop, |is_whole| if is_whole { Step::Joined } else { Step::Held }));
    }
    let memory = &visit.domain(domain).memory;
    let mut losses = Losses::default();
    let mut store = memory.fragments();
    store.expire(visit.now, &mut losses);
    let result = match fragment.offset() {
        0 => fragment.lead(visit, &mut store, &mut losses),
        _ => fragment.follow(visit, &mut store, &mut losses),
    };
    drop(store);
    memory.count_losses(visit.options.worker, &losses);
    result
}

impl Fragment<'_> {
    /// In bytes.
    fn offset(&self) -> usize {
        usize::from(self.inner.fragment & FRAGMENT_OFFSET) * 8
    }

    fn more(&self) -> bool {
        self.inner.fragment & MORE_FRAGMENTS != 0
    }

    fn payload(&self) -> &[u8] {
        self.original.get(self.at + self.inner.header..self.at + self.inner.total).unwrap_or_default()
    }

    fn key(&self, joins: bool) -> Key {
        let protocol = self.inner.protocol;
        let kind = match self.stage {
            Stage::ToCe => Kind::ToCe(protocol),
            Stage::FromCe => Kind::FromCe(protocol),
            Stage::Hairpin => Kind::Hairpin(protocol),
        };
        let (source, destination) = (self.inner.source, self.inner.destination);
        Key { kind, joins, tunnel: self.tunnel, source, destination, identification: self.inner.identification.into() }
    }

    /// Refuses what can be no part of a datagram, and what hides a TCP header from those who look at first fragments only (RFC
    /// 1858, RFC 3128).
    fn check(&self) -> Result<(), DropReason> {
        let (offset, length) = (self.offset(), self.payload().len());
        let is_ragged = self.more() && !length.is_multiple_of(8);
        if length == 0 || is_ragged || self.inner.header + offset + length > LARGEST {
            return Err(DropReason::BadFragment);
        }
        match offset {
            0 if self.inner.protocol == protocol::TCP && length < LEAST_TCP => Err(DropReason::TinyFragment),
            8 if self.inner.protocol == protocol::TCP => Err(DropReason::FragmentOverlap),
            _ => Ok(()),
        }
    }

    /// The first fragment, whose port is the datagram's. It sets free those that came before it.
    fn lead(&self, visit: &mut Visit<'_>, store: &mut Store, losses: &mut Losses) -> Result<Flow, Step> {
        let side = if self.stage == Stage::FromCe { Side::Source } else { Side::Destination };
        let flow = find_port(self.inner, self.payload(), side);
        let covered = transport_header(self.inner.protocol).min(self.payload().len());
        store.change(&self.key(false), visit.now, 0, losses, |content| match content {
            Content::First(first) if first.flow.port != flow.port => Err(DropReason::FragmentOverlap.into()),
            Content::First(_) => Ok(flow),
            content => {
                let before = std::mem::replace(content, Content::First(First { flow, covered }));
                if let Content::Early(early) = before {
                    visit.released.extend(early.into_packets());
                }
                Ok(flow)
            }
        })
    }

    /// A later fragment, which goes the way of the first one, or waits for it.
    fn follow(&self, visit: &Visit<'_>, store: &mut Store, losses: &mut Losses) -> Result<Flow, Step> {
        let key = self.key(false);
        if let Some(Content::First(first)) = store.find(&key) {
            let overlaps = self.offset() < first.covered;
            return if overlaps { Err(DropReason::FragmentOverlap.into()) } else { Ok(first.flow) };
        }
        let packet = Waiting::new(&[self.original], visit.load);
        store.change(&key, visit.now, packet.length() + OVERHEAD, losses, |content| {
            if let Content::Early(early) = content {
                early.push(packet);
            }
        });
        Err(Step::Held)
    }

    /// Adds the fragment to its datagram. If that is whole now, it is the next to be judged.
    fn join(&self, visit: &mut Visit<'_>, domain: u32) -> Result<bool, DropReason> {
        let too_big = self.mtu.is_some_and(|mtu| self.inner.total > mtu && !self.inner.may_fragment());
        if too_big {
            return Err(DropReason::TooBig);
        }
        let tos = self.tos.ok_or(DropReason::BadEcn)?;
        let head = self.original.get(self.at..self.at + self.inner.header).unwrap_or_default();
        let piece = Piece { offset: self.offset(), more: self.more(), payload: self.payload(), head, tos };
        let Some(datagram) = join(visit, domain, &self.key(true), &piece)? else { return Ok(false) };
        let packet = self.whole(&datagram)?;
        visit.released.push_front(packet);
        Ok(true)
    }

    fn whole(&self, datagram: &Datagram) -> Result<Waiting, DropReason> {
        let mut head = datagram.head.clone();
        let total = head.len() + datagram.payload.len();
        let length = u16::try_from(total).map_err(|_| DropReason::BadFragment)?;
        head[1] = datagram.tos;
        head[2..4].copy_from_slice(&length.to_be_bytes());
        head[6..8].fill(0);
        head[10..12].fill(0);
        let sum = checksum(&head);
        head[10..12].copy_from_slice(&sum.to_be_bytes());
        let [source, relay] = self.tunnel;
        let outer = ipv6_header(first_word(datagram.tos, 0), total, protocol::IPV4, source, relay);
        let outer = if self.stage == Stage::ToCe { &[][..] } else { &outer[..IPV6_HEADER] };
        Ok(Waiting::new(&[outer, &head, &datagram.payload], datagram.load))
    }
}

/// The largest IPv4 packet (RFC 791 §3.1).
const LARGEST: usize = 65_535;

/// As much of a TCP header as a first fragment must have: up to its flags (RFC 1858 §3.2.1).
const LEAST_TCP: usize = 16;

/// The length of a transport header without options.
fn transport_header(number: u8) -> usize {
    match number {
        protocol::TCP => 20,
        protocol::SCTP | protocol::DCCP => 12,
        _ => 8,
    }
}
