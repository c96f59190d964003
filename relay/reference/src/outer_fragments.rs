//! Fragments of tunnel packets.

use std::net::Ipv6Addr;

use crate::{
    Model, Verdict,
    bits::{be, be16},
    headers::{Walked, is_icmp_error},
    passage::{Arrival, Tunnel},
    reassembly::{Added, Partial, Piece, joined_data, merged_ecn},
    room::Datagram,
};

/// Domain, source, destination, identification.
pub(crate) type OuterKey = (usize, Ipv6Addr, Ipv6Addr, u32);

/// The headers before a fragment's Fragment header, already without it.
#[derive(Debug, Clone)]
pub(crate) struct OuterHead {
    bytes: Vec<u8>,
}

impl Model {
    pub(crate) fn outer_fragment(&mut self, tunnel: &Tunnel, walked: Walked, arrival: Arrival) -> Verdict {
        let options = self.domains[tunnel.domain].options.clone();
        if !options.reassembly_v6 {
            return self.dropped(&arrival, "FragmentsDisabled");
        }
        let piece = piece(tunnel, walked, arrival);
        if let Some(pointer) = fault(&piece) {
            let header = &tunnel.packet[walked.at..];
            let silent = piece.offset > 0 || is_icmp_error(header[0], &header[8..]);
            if let Some(pointer) = pointer.filter(|_| !silent) {
                self.icmpv6_error(tunnel, tunnel.domain, [4, 0], pointer);
            }
            return self.dropped(&piece.arrival, "BadFragment");
        }
        let identification = be(&tunnel.packet[walked.at + 4..walked.at + 8]);
        let key = (tunnel.domain, tunnel.source, tunnel.relay, identification);
        let until = self.now + u64::from(options.timeout_seconds) * 1_000_000_000;
        let arrival = piece.arrival.clone();
        self.make_room(&Datagram::Outer(key), piece.room());
        let born = self.born();
        match self.outer.entry(key).or_insert_with(|| Partial::new(until, born)).add(piece) {
            Added::Kept => Verdict { word: "hold", reason: None, domain: arrival.domain },
            Added::Duplicate => self.dropped(&arrival, "DuplicateFragment"),
            Added::Overlap(others) => self.overlapped(&others, &arrival),
            Added::Whole(pieces) => {
                self.outer.remove(&key);
                self.joined_outer(&pieces, &arrival)
            }
        }
    }

    /// What becomes of a datagram whose last missing fragment came as `last`.
    fn joined_outer(&mut self, pieces: &[Piece<OuterHead>], last: &Arrival) -> Verdict {
        let arrival = last.joined(pieces.iter().map(|piece| &piece.arrival));
        let Some(ecn) = merged_ecn(pieces) else { return self.dropped(&arrival, "BadEcn") };
        let mut packet = [pieces[0].head.bytes.clone(), joined_data(pieces)].concat();
        let Ok(length) = u16::try_from(packet.len() - 40) else {
            return self.dropped(&arrival, "BadFragment");
        };
        packet[1] = packet[1] & 0xcf | ecn << 4;
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        self.judge(&packet, arrival)
    }

    /// All fragments of a datagram are lost: those that were kept, and the one that overlaps.
    pub(crate) fn overlapped<H>(&mut self, others: &[Piece<H>], last: &Arrival) -> Verdict {
        for piece in others {
            self.dropped(&piece.arrival, "FragmentOverlap");
        }
        self.dropped(last, "FragmentOverlap")
    }
}

fn piece(tunnel: &Tunnel, walked: Walked, arrival: Arrival) -> Piece<OuterHead> {
    let (before, header) = tunnel.packet.split_at(walked.at);
    let field = be16(header, 2);
    let mut bytes = before.to_vec();
    bytes[walked.named_at] = header[0];
    Piece {
        offset: usize::from(field & 0xfff8),
        more: field & 1 == 1,
        data: header[8..].to_vec(),
        ecn: tunnel.traffic_class,
        head_length: bytes.len(),
        head: OuterHead { bytes },
        arrival,
    }
}

/// What is wrong with a fragment by itself, if anything: perhaps the place of the field that says so.
fn fault(piece: &Piece<OuterHead>) -> Option<Option<usize>> {
    if piece.more && !piece.data.len().is_multiple_of(8) {
        return Some(Some(4));
    }
    (piece.data.is_empty() || piece.offset + piece.data.len() > 65535).then_some(None)
}
