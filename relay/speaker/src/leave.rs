//! The pod's leave, step by step: pure, and time is an argument.

use std::time::{Duration, Instant};

use crds::border_relay::Drain;

use crate::plan::Phase;

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It stays.
    No,
    /// Routers are asked to prefer others, until then.
    Asked { until: Instant, withdraw: Duration },
    /// Nothing is announced any more; packets on their way still arrive, until then.
    Withdrawn { until: Instant },
    /// Nobody waits for anything.
    Over,
}

impl Leave {
    /// Begins it. Without anything announced there is nothing to wait for.
    pub(crate) fn begin(now: Instant, drain: &Drain, is_announcing: bool) -> Self {
        let seconds = |seconds: i64| Duration::from_secs(seconds.try_into().unwrap_or(0));
        if !is_announcing {
            return Self::Over;
        }
        let withdraw = seconds(drain.withdraw_seconds);
        Self::Asked { until: now + seconds(drain.graceful_shutdown_seconds), withdraw }
    }

    /// When the next step is due.
    pub(crate) fn due(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::Asked { until, .. } | Self::Withdrawn { until } => Some(until),
            Self::Over => Some(Instant::now()),
        }
    }

    /// The step after this one.
    pub(crate) fn next(self, now: Instant) -> Self {
        match self {
            Self::No => Self::No,
            Self::Asked { withdraw, .. } => Self::Withdrawn { until: now + withdraw },
            Self::Withdrawn { .. } | Self::Over => Self::Over,
        }
    }

    /// What that means for announcements.
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::No => Phase::Announcing,
            Self::Asked { .. } => Phase::GracefulShutdown,
            Self::Withdrawn { .. } | Self::Over => Phase::Withdrawn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_then_withdraws_then_ends() {
        let now = Instant::now();
        let drain = Drain { graceful_shutdown_seconds: 10, withdraw_seconds: 2 };
        let later = |seconds| now + Duration::from_secs(seconds);
        let asked = Leave::begin(now, &drain, true);
        assert_eq!((asked.phase(), asked.due()), (Phase::GracefulShutdown, Some(later(10))));
        let withdrawn = asked.next(later(10));
        assert_eq!((withdrawn.phase(), withdrawn.due()), (Phase::Withdrawn, Some(later(12))));
        assert_eq!(withdrawn.next(later(12)), Leave::Over);
    }

    #[test]
    fn without_anything_announced_it_is_over_at_once() {
        let drain = Drain { graceful_shutdown_seconds: 10, withdraw_seconds: 2 };
        assert_eq!(Leave::begin(Instant::now(), &drain, false), Leave::Over);
    }
}
