//! IPv6 fragments of packets to the BR address (RFC 8200 §4.5): joined, whatever they carry.

use crate::{
    DropReason,
    engine::Visit,
    fragments::{
        join::{Datagram, Piece, join},
        store::{Key, Kind},
        waiting::Waiting,
    },
    from_ce::decapsulate::Outer,
    wire::{FRAGMENT_HEADER, IPV6_HEADER, LARGEST, PAYLOAD_LENGTH, be16, be32, protocol},
};

/// Why a fragment is no part of a datagram; a payload of a length that cannot be is told to the sender.
pub(crate) struct Refused {
    pub(crate) reason: DropReason,
    /// The place of the wrong field (RFC 8200 §4.5).
    pub(crate) pointer: Option<u32>,
}

impl From<DropReason> for Refused {
    fn from(reason: DropReason) -> Self {
        Self { reason, pointer: None }
    }
}

/// Adds the fragment `packet`, whose Fragment header is where `outer` ends so far, to its datagram; `named` is the place of the
/// byte that announced that header. Returns whether the datagram is whole now: then it is the next to be judged.
#[cold]
pub(crate) fn join_outer(visit: &mut Visit<'_>, packet: &[u8], outer: &Outer, named: usize) -> Result<bool, Refused> {
    let header = packet.get(outer.at..outer.end).unwrap_or_default();
    let (Some(place), Some(identification), Some(payload)) =
        (be16(header, 2), be32(header, 4), header.get(FRAGMENT_HEADER..))
    else {
        return Err(DropReason::Truncated.into());
    };
    if !visit.domain(outer.domain).reassembly_v6 {
        return Err(DropReason::FragmentsDisabled.into());
    }
    let (offset, more) = (usize::from(place & 0xfff8), place & 1 != 0);
    if more && !payload.len().is_multiple_of(8) {
        // Never about an ICMPv6 error (RFC 4443 §2.4 e).
        let is_error = header[0] == protocol::ICMPV6 && payload.first().is_none_or(|kind| *kind < 128);
        let pointer = (offset == 0 && !is_error).then_some(PAYLOAD_LENGTH as u32);
        return Err(Refused { reason: DropReason::BadFragment, pointer });
    }
    if payload.is_empty() || offset + payload.len() > LARGEST {
        return Err(DropReason::BadFragment.into());
    }
    let mut head = packet[..outer.at].to_vec();
    head[named] = header[0];
    let tunnel = [outer.source, outer.relay];
    let key = Key { kind: Kind::Outer, joins: true, tunnel, source: 0, destination: 0, identification };
    let piece = Piece { offset, more, payload, head: &head, tos: outer.traffic_class };
    let Some(datagram) = join(visit, outer.domain, &key, &piece)? else { return Ok(false) };
    let packet = whole(datagram)?;
    visit.released.push_front(packet);
    Ok(true)
}

fn whole(mut datagram: Datagram) -> Result<Waiting, DropReason> {
    let head = &mut datagram.head;
    let length = head.len() - IPV6_HEADER + datagram.payload.len();
    let length = u16::try_from(length).map_err(|_| DropReason::BadFragment)?;
    head[0] = 0x60 | datagram.tos >> 4;
    head[1] = datagram.tos << 4 | head[1] & 0x0f;
    head[4..6].copy_from_slice(&length.to_be_bytes());
    Ok(Waiting::new(&[head, &datagram.payload], datagram.load))
}
