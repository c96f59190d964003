//! IPv4 fragments whose CE only a port tells. Either the first fragment's port decides for all (`Virtual`), or the datagram
//! is joined first (`Full`).

use mape::options::ReassemblyV4;

use crate::{
    Count, DropReason,
    engine::Visit,
    fragments::{
        join::{Datagram, Piece, join},
        store::{Content, Key, Kind, Losses, OVERHEAD, Store},
        waiting::Waiting,
    },
    snapshot::DomainEntry,
    tables::Found,
    to_ce::{
        domain_of,
        find_port::{Flow, Side, find_port, may_have_port},
    },
    wire::{IPV6_HEADER, Ipv4, LARGEST, MORE_FRAGMENTS, PAYLOAD_LENGTH, first_word, ipv6_header, protocol, seal},
};

/// Where on its way a fragment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    ToCe,
    FromCe,
    /// From a CE of domain `from`, which keeps it meanwhile, on the way to another one.
    Hairpin {
        from: u32,
    },
}

/// A fragment on its way.
#[derive(Debug)]
pub(crate) struct Fragment<'p> {
    pub(crate) stage: Stage,
    pub(crate) inner: &'p Ipv4,
    /// The packet as it came, without what follows the IPv4 packet in it: to be judged again.
    pub(crate) original: &'p [u8],
    /// Where in it the IPv4 header begins.
    pub(crate) at: usize,
    /// Outer source and destination; zeros where there is no tunnel yet.
    pub(crate) tunnel: [[u64; 2]; 2],
    /// The TOS it goes on with; `None` if the outer header's congestion mark cannot be passed on.
    pub(crate) tos: Option<u8>,
}

/// Why a packet does not go on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Drop(DropReason),
    /// It does not fit the tunnel, and may not be cut: packets of `mtu` bytes would pass.
    TooBig {
        mtu: usize,
    },
    /// It waits for other fragments.
    Held,
    /// It completed a datagram, which is now the next to be judged.
    Joined,
}

impl Step {
    /// Why it is dropped, if it is.
    pub(crate) fn reason(self) -> Option<DropReason> {
        match self {
            Self::Drop(reason) => Some(reason),
            Self::TooBig { .. } => Some(DropReason::TooBig),
            Self::Held | Self::Joined => None,
        }
    }
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

/// What first fragments said, for a later one that waited for them: it goes on by that, whatever the store has forgotten
/// meanwhile.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// Of the CE that it is from.
    from_ce: Option<First>,
    /// Of the CE that it is to.
    to_ce: Option<First>,
}

impl Known {
    fn at(&mut self, stage: Stage) -> &mut Option<First> {
        match stage {
            Stage::FromCe => &mut self.from_ce,
            Stage::ToCe | Stage::Hairpin { .. } => &mut self.to_ce,
        }
    }
}

/// Finds the flow of a fragment, where it takes a port to tell whose the address is that was `found`.
#[cold]
pub(crate) fn place(visit: &mut Visit<'_>, found: Found<'_>, fragment: &Fragment<'_>) -> Result<Flow, Step> {
    if !found.needs_port() {
        return Ok(Flow::NONE);
    }
    if !may_have_port(fragment.inner.protocol) {
        return Err(DropReason::NoPort.into());
    }
    let owner = domain_of(&visit.snapshot.tables, found, || None);
    let keeper = if let Stage::Hairpin { from } = fragment.stage { from } else { owner };
    let DomainEntry { reassembly_v4, payload_mtu, .. } = *visit.domain(owner);
    if reassembly_v4 == ReassemblyV4::Disabled {
        return Err(DropReason::FragmentsDisabled.into());
    }
    fragment.check()?;
    if reassembly_v4 == ReassemblyV4::Full {
        return Err(fragment.join(visit, keeper, payload_mtu).unwrap_or_else(|step| step));
    }
    let (worker, now) = (visit.options.worker, visit.now);
    visit.domain(keeper).memory.with_fragments(worker, now, |store, losses| match fragment.inner.offset() {
        0 => fragment.lead(visit, store, losses),
        _ => fragment.follow(visit, store, losses),
    })
}

impl Fragment<'_> {
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
            Stage::Hairpin { .. } => Kind::Hairpin(protocol),
        };
        let (source, destination) = (self.inner.source, self.inner.destination);
        Key { kind, joins, tunnel: self.tunnel, source, destination, identification: self.inner.identification.into() }
    }

    /// Refuses what can be no part of a datagram, and what hides a TCP header from those who look at first fragments only (RFC
    /// 1858, RFC 3128).
    fn check(&self) -> Result<(), DropReason> {
        let (offset, length) = (self.inner.offset(), self.payload().len());
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
                let first = First { flow, covered };
                if let Content::Early(early) = std::mem::replace(content, Content::First(first)) {
                    visit.released.extend(early.into_packets().into_iter().map(|mut packet| {
                        *packet.known.at(self.stage) = Some(first);
                        packet
                    }));
                }
                Ok(flow)
            }
        })
    }

    /// A later fragment, which goes the way of the first one, or waits for it.
    fn follow(&self, visit: &mut Visit<'_>, store: &mut Store, losses: &mut Losses) -> Result<Flow, Step> {
        let key = self.key(false);
        let known = visit.known.at(self.stage);
        if let (None, Some(Content::First(first))) = (&known, store.find(&key)) {
            *known = Some(*first);
        }
        if let Some(first) = known {
            let overlaps = self.inner.offset() < first.covered;
            return if overlaps { Err(DropReason::FragmentOverlap.into()) } else { Ok(first.flow) };
        }
        let mut packet = self.kept(visit.load);
        packet.known = visit.known;
        store.change(&key, visit.now, packet.length() + OVERHEAD, losses, |content| {
            if let Content::Early(early) = content {
                early.push(packet);
            }
        });
        Err(Step::Held)
    }

    /// The packet, to wait. The length of a tunnel packet may have promised more than is kept.
    fn kept(&self, load: Count) -> Waiting {
        match self.original.split_at_checked(PAYLOAD_LENGTH) {
            Some((before, [_, _, behind @ ..])) if self.stage != Stage::ToCe => {
                let payload = (self.original.len() - IPV6_HEADER) as u16;
                Waiting::new(&[before, &payload.to_be_bytes(), behind], load)
            }
            _ => Waiting::new(&[self.original], load),
        }
    }

    /// Adds the fragment to its datagram. If that is whole now, it is the next to be judged.
    fn join(&self, visit: &mut Visit<'_>, keeper: u32, mtu: usize) -> Result<Step, Step> {
        let enters_tunnel = self.stage != Stage::FromCe;
        if enters_tunnel && self.inner.total > mtu && !self.inner.may_fragment() {
            return Err(Step::TooBig { mtu });
        }
        let tos = self.tos.ok_or(DropReason::BadEcn)?;
        let head = self.original.get(self.at..self.at + self.inner.header).unwrap_or_default();
        let piece = Piece { offset: self.inner.offset(), more: self.more(), payload: self.payload(), head, tos };
        let Some(datagram) = join(visit, keeper, &self.key(true), &piece)? else { return Ok(Step::Held) };
        let packet = self.whole(&datagram)?;
        visit.released.push_front(packet);
        Ok(Step::Joined)
    }

    fn whole(&self, datagram: &Datagram) -> Result<Waiting, DropReason> {
        let mut head = datagram.head.clone();
        let total = head.len() + datagram.payload.len();
        let length = u16::try_from(total).map_err(|_| DropReason::BadFragment)?;
        head[1] = datagram.tos;
        head[2..4].copy_from_slice(&length.to_be_bytes());
        head[6..8].fill(0);
        seal(&mut head);
        let [source, relay] = self.tunnel;
        let outer = ipv6_header(first_word(datagram.tos, 0), total, protocol::IPV4, source, relay);
        let outer = if self.stage == Stage::ToCe { &[][..] } else { &outer[..IPV6_HEADER] };
        Ok(Waiting::new(&[outer, &head, &datagram.payload], datagram.load))
    }
}

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
