//! Putting a datagram together again, whichever header its fragments had. Overlaps are worth nothing (RFC 5722), exact
//! duplicates do no harm (RFC 8200 §4.5).

use crate::{
    Count, DropReason,
    engine::Visit,
    fragments::store::{Content, Key, OVERHEAD},
};

/// One fragment.
pub(super) struct Piece<'p> {
    /// In bytes.
    pub(super) offset: usize,
    /// Whether others follow.
    pub(super) more: bool,
    pub(super) payload: &'p [u8],
    /// The headers that stand before the payload; those of the first fragment count.
    pub(super) head: &'p [u8],
    /// TOS or traffic class.
    pub(super) tos: u8,
}

impl Piece<'_> {
    fn end(&self) -> usize {
        self.offset + self.payload.len()
    }
}

/// A datagram, whole.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) head: Vec<u8>,
    pub(super) payload: Vec<u8>,
    /// That of the first fragment, with all congestion marks (RFC 3168 §5.3).
    pub(super) tos: u8,
    /// What its fragments are counted as.
    pub(super) load: Count,
}

/// Adds a piece to its datagram, kept in this domain; returns that if it is whole now.
pub(super) fn join(
    visit: &mut Visit<'_>,
    domain: u32,
    key: &Key,
    piece: &Piece<'_>,
) -> Result<Option<Datagram>, DropReason> {
    let (now, load) = (visit.now, visit.load);
    let placed = visit.domain(domain).memory.with_fragments(visit.options.worker, now, |store, losses| {
        let room = piece.payload.len() + piece.head.len() + OVERHEAD;
        let placed = store.change(key, now, room, losses, |content| place(content, piece, load));
        match placed {
            Placed::Refused(lost) => losses.add(key.direction(), DropReason::FragmentOverlap, lost),
            Placed::Whole(_) => store.remove(key),
            Placed::Kept | Placed::Duplicate => {}
        }
        placed
    });
    match placed {
        Placed::Kept => Ok(None),
        Placed::Duplicate => Err(DropReason::DuplicateFragment),
        Placed::Refused(_) => Err(DropReason::FragmentOverlap),
        Placed::Whole(pieces) => {
            visit.load = pieces.load;
            pieces.into_datagram().map(Some).ok_or(DropReason::BadEcn)
        }
    }
}

/// What became of a piece.
enum Placed {
    Kept,
    Duplicate,
    /// It contradicts others, which are lost with it.
    Refused(Count),
    Whole(Pieces),
}

fn place(content: &mut Content, piece: &Piece<'_>, load: Count) -> Placed {
    if let Content::Early(_) = content {
        *content = Content::Pieces(Pieces::default());
    }
    let Content::Pieces(pieces) = content else { return Placed::Refused(Count::default()) };
    match pieces.fit(piece) {
        Fit::Duplicate => return Placed::Duplicate,
        Fit::Contradiction => {
            let lost = pieces.load;
            *content = Content::Refused;
            return Placed::Refused(lost);
        }
        Fit::At(place) => pieces.insert(place, piece, load),
    }
    if pieces.is_whole() { Placed::Whole(std::mem::take(pieces)) } else { Placed::Kept }
}

/// The pieces of a datagram so far, none of which overlap.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// By offset.
    parts: Vec<Part>,
    /// Where the datagram ends, once that is known.
    end: Option<usize>,
    head: Vec<u8>,
    /// The first fragment's.
    tos: u8,
    /// A bit for each ECN codepoint seen.
    codepoints: u8,
    load: Count,
    received: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Part {
    offset: usize,
    more: bool,
    payload: Vec<u8>,
}

/// Where a piece belongs.
enum Fit {
    At(usize),
    Duplicate,
    Contradiction,
}

impl Pieces {
    pub(super) fn load(&self) -> Count {
        self.load
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn fit(&self, piece: &Piece<'_>) -> Fit {
        let place = self.parts.partition_point(|part| part.offset < piece.offset);
        let (before, after) = self.parts.split_at(place);
        let is_same =
            |part: &Part| part.offset == piece.offset && part.more == piece.more && part.payload == piece.payload;
        if after.first().is_some_and(is_same) {
            return Fit::Duplicate;
        }
        let overlaps = before.last().is_some_and(|part| part.offset + part.payload.len() > piece.offset)
            || after.first().is_some_and(|part| part.offset < piece.end());
        let is_beyond = self.end.is_some_and(|end| piece.end() > end);
        let ends_early = !piece.more && !after.is_empty();
        if overlaps || is_beyond || ends_early { Fit::Contradiction } else { Fit::At(place) }
    }

    fn insert(&mut self, place: usize, piece: &Piece<'_>, load: Count) {
        if piece.offset == 0 {
            self.head = piece.head.to_vec();
            self.tos = piece.tos;
            self.bytes += piece.head.len();
        }
        if !piece.more {
            self.end = Some(piece.end());
        }
        self.codepoints |= 1 << (piece.tos & 3);
        self.load += load;
        self.received += piece.payload.len();
        self.bytes += piece.payload.len() + OVERHEAD;
        let part = Part { offset: piece.offset, more: piece.more, payload: piece.payload.to_vec() };
        self.parts.insert(place, part);
    }

    fn is_whole(&self) -> bool {
        self.end == Some(self.received)
    }

    /// `None` if congestion was marked on a datagram that cannot say so.
    fn into_datagram(self) -> Option<Datagram> {
        let tos = match self.codepoints {
            seen if seen & CONGESTED == 0 => self.tos,
            seen if seen & NOT_CAPABLE != 0 => return None,
            _ => self.tos | 3,
        };
        let payload = self.parts.into_iter().flat_map(|part| part.payload).collect();
        Some(Datagram { head: self.head, payload, tos, load: self.load })
    }
}

/// The bit of the codepoint "congestion experienced".
const CONGESTED: u8 = 1 << 3;

/// The bit of the codepoint "not ECN-capable".
const NOT_CAPABLE: u8 = 1;
