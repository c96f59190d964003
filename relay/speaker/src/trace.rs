//! What becomes of a revision, in the trace that it came by.

use pod::choice::Identity;
use telemetry::{follow, link};
use tracing::{Span, debug_span, field::Empty};

use crate::{plan::Obstacle, shared::Count};

/// A revision that BIRD does not work by yet.
pub(crate) struct News {
    pub(crate) identity: Identity,
    pub(crate) traceparent: Option<String>,
    /// What a speaker starts with may have come about long before.
    pub(crate) is_first: bool,
}

impl News {
    /// Until BIRD works by it.
    pub(crate) fn configure(&self) -> Span {
        let Identity { sequence, hash } = &self.identity;
        self.placed(debug_span!(
            "configure BIRD",
            sequence,
            hash,
            otel.status_code = Empty,
            otel.status_description = Empty
        ))
    }

    /// Until what is announced is as much as should be.
    pub(crate) fn announce(&self, wanted: Count) -> Span {
        let (Identity { sequence, hash }, Count { ipv4, ipv6 }) = (&self.identity, wanted);
        self.placed(debug_span!("announce", sequence, hash, ipv4, ipv6))
    }

    fn placed(&self, span: Span) -> Span {
        let traceparent = self.traceparent.as_deref();
        if self.is_first { link(span, traceparent) } else { follow(span, traceparent) }
    }
}

/// BIRD did not take it.
pub(crate) fn refused(span: &Span, obstacle: &Obstacle) {
    span.record("otel.status_code", "ERROR").record("otel.status_description", &obstacle.message);
}
