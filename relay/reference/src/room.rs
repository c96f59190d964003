//! How much a domain keeps, and who goes when that is too much.

use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

use crate::{
    Model,
    fragments::InnerKey,
    outer_fragments::OuterKey,
    passage::Arrival,
    reassembly::{OVERHEAD, Partial, Piece},
};

/// One incomplete datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Datagram {
    /// Its fragments pass one by one.
    Waiting(InnerKey),
    /// Its fragments are put together.
    Inner(InnerKey),
    Outer(OuterKey),
}

/// What is kept of one.
pub(crate) struct Kept {
    datagram: Datagram,
    born: u64,
    pub(crate) bytes: usize,
}

/// What every datagram weighs beside the bytes of its fragments.
const DATAGRAM: usize = 256;

impl Datagram {
    fn domain(&self) -> usize {
        match self {
            Self::Waiting(key) | Self::Inner(key) => key.domain,
            Self::Outer(key) => key.0,
        }
    }

    /// Who sends it, and who is sent to. All tunnel packets are for the relay: their source stands for both.
    fn ends(&self) -> [IpAddr; 2] {
        match self {
            Self::Waiting(key) | Self::Inner(key) => {
                [key.tunnel.map_or(key.source.into(), |(ce, _)| ce.into()), key.destination.into()]
            }
            Self::Outer((_, source, ..)) => [(*source).into(); 2],
        }
    }
}

impl Model {
    /// The next number for a datagram.
    pub(crate) fn born(&mut self) -> u64 {
        self.born += 1;
        self.born
    }

    /// Makes room for a datagram, known or new, that grows by as many bytes.
    pub(crate) fn make_room(&mut self, datagram: &Datagram, bytes: usize) {
        let options = self.domains[datagram.domain()].options.clone();
        loop {
            let kept = self.kept_by(datagram.domain());
            let is_known = kept.iter().any(|other| other.datagram == *datagram);
            let has_place = is_known || kept.len() < options.max_datagrams;
            let has_bytes = kept.iter().map(|other| other.bytes).sum::<usize>() + bytes <= options.max_bytes();
            if has_place && has_bytes {
                return;
            }
            let Some(victim) = victim(&kept) else { return };
            for arrival in self.take_out(victim) {
                self.dropped(&arrival, "ReassemblyFull");
            }
        }
    }

    /// All that a domain keeps.
    pub(crate) fn kept_by(&self, domain: usize) -> Vec<Kept> {
        let waiting = self.waiting.iter().map(|(key, entry)| Kept {
            datagram: Datagram::Waiting(key.clone()),
            born: entry.born,
            bytes: entry.held.iter().map(|passage| passage.length() + OVERHEAD).sum(),
        });
        let inner = self.inner.iter().map(|(key, entry)| Kept {
            datagram: Datagram::Inner(key.clone()),
            born: entry.born,
            bytes: entry.pieces.iter().map(Piece::bytes).sum(),
        });
        let outer = self.outer.iter().map(|(key, entry)| Kept {
            datagram: Datagram::Outer(*key),
            born: entry.born,
            bytes: entry.pieces.iter().map(Piece::bytes).sum(),
        });
        waiting.chain(inner).chain(outer).filter(|kept| kept.datagram.domain() == domain).collect()
    }

    fn take_out(&mut self, datagram: &Datagram) -> Vec<Arrival> {
        match datagram {
            Datagram::Waiting(key) => {
                self.waiting.remove(key).into_iter().flat_map(|entry| entry.lost(key.domain)).collect()
            }
            Datagram::Inner(key) => self.inner.remove(key).into_iter().flat_map(Partial::lost).collect(),
            Datagram::Outer(key) => self.outer.remove(key).into_iter().flat_map(Partial::lost).collect(),
        }
    }
}

/// The oldest datagram of the source or destination that has most; of several with as much, of who has the oldest.
fn victim(kept: &[Kept]) -> Option<&Datagram> {
    let mut ends: BTreeMap<(usize, IpAddr), (usize, u64)> = BTreeMap::new();
    for one in kept {
        for end in one.datagram.ends().into_iter().enumerate() {
            let (weight, oldest) = ends.entry(end).or_insert((0, one.born));
            *weight += DATAGRAM + one.bytes;
            *oldest = one.born.min(*oldest);
        }
    }
    let (_, oldest) = ends.into_values().max_by_key(|(weight, oldest)| (*weight, Reverse(*oldest)))?;
    kept.iter().find(|one| one.born == oldest).map(|one| &one.datagram)
}
