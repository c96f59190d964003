//! What is to be done with a packet: data, for the driver to act on.

use crate::{Direction, DropReason};

/// What became of one packet of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What to do with it.
    pub outcome: Outcome,
    /// Which way it went.
    pub direction: Direction,
    /// An index, or `NO_DOMAIN`: so a verdict is eight bytes and travels in a register.
    domain: u32,
}

const NO_DOMAIN: u32 = u32::MAX;

/// What to do with a packet. Whatever it is, [`Extras`](crate::Extras) may leave because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The buffer holds a packet that leaves; so do the [`Extras`](crate::Extras) it caused, behind it.
    Emit,
    /// It goes no further. With `reply` the buffer holds an ICMP error that goes back.
    Drop {
        /// Why.
        reason: DropReason,
        /// Whether the buffer now holds an answer.
        reply: bool,
    },
    /// It completed a datagram: what leaves is only in the [`Extras`](crate::Extras).
    Joined,
    /// The relay keeps it: it waits for other fragments.
    Hold,
    /// Not the relay's: up to the host, unchanged, where there is one above; else the end, counted for this reason.
    Punt(DropReason),
}

impl Verdict {
    #[inline(always)]
    pub(crate) fn new(outcome: Outcome, domain: Option<u32>, direction: Direction) -> Self {
        Self { outcome, direction, domain: domain.unwrap_or(NO_DOMAIN) }
    }

    /// The verdict on the packet that completed a datagram which came to this end: nothing is in its own buffer.
    pub(crate) fn elsewhere(mut self) -> Self {
        self.outcome = match self.outcome {
            Outcome::Emit => Outcome::Joined,
            Outcome::Drop { reason, .. } => Outcome::Drop { reason, reply: false },
            other => other,
        };
        self
    }

    /// The domain that it was counted for, an index into [`Snapshot::domains`](crate::Snapshot::domains).
    #[must_use]
    pub fn domain(&self) -> Option<u32> {
        (self.domain != NO_DOMAIN).then_some(self.domain)
    }

    /// Whether the buffer holds a packet to be written.
    #[must_use]
    pub fn leaves(&self) -> bool {
        matches!(self.outcome, Outcome::Emit | Outcome::Drop { reply: true, .. })
    }

    /// Why it went no further, if it did not.
    #[must_use]
    pub fn reason(&self) -> Option<DropReason> {
        match self.outcome {
            Outcome::Drop { reason, .. } | Outcome::Punt(reason) => Some(reason),
            Outcome::Emit | Outcome::Joined | Outcome::Hold => None,
        }
    }
}

impl Default for Verdict {
    /// For arrays that [`Engine::process`](crate::Engine::process) fills.
    fn default() -> Self {
        Self::new(Outcome::Punt(DropReason::NotForRelay), None, Direction::ToCe)
    }
}
