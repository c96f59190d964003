//! The gate: whether the relay's routes are announced, all of them or none.

use std::time::{Duration, Instant};

use crate::plan::Announcement;

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// Nothing is announced.
    Closed,
    /// Everything is.
    Open,
    /// Everything is, with GRACEFUL_SHUTDOWN, for a while: the pod is asked to leave.
    Leaving { until: Instant },
}

impl Gate {
    /// Where it has to stand now. `sound`: a packet would be forwarded; `notice`: how long others are told that this
    /// relay leaves before it is withdrawn. Who announces nothing has nobody to tell.
    pub(super) fn next(self, sound: bool, draining: bool, notice: Duration, now: Instant) -> Self {
        match (sound, draining, self) {
            (false, ..) => Self::Closed,
            (true, false, _) => Self::Open,
            (true, true, Self::Open) if !notice.is_zero() => Self::Leaving { until: now + notice },
            (true, true, Self::Leaving { until }) if now < until => self,
            (true, true, _) => Self::Closed,
        }
    }

    /// How the routes are announced at most.
    pub(super) fn announcement(self) -> Announcement {
        match self {
            Self::Closed => Announcement::Local,
            Self::Open => Announcement::Full,
            Self::Leaving { .. } => Announcement::Leaving,
        }
    }

    /// When it closes by itself.
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::Leaving { until } => Some(until),
            Self::Closed | Self::Open => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTICE: Duration = Duration::from_secs(10);

    fn after(steps: &[(bool, bool, u64)]) -> Announcement {
        let start = Instant::now();
        let step = |gate: Gate, (sound, draining, second): &(bool, bool, u64)| {
            gate.next(*sound, *draining, NOTICE, start + Duration::from_secs(*second))
        };
        steps.iter().fold(Gate::Closed, step).announcement()
    }

    #[test]
    fn a_sound_relay_announces_and_another_does_not() {
        assert_eq!(after(&[(true, false, 0)]), Announcement::Full);
        assert_eq!(after(&[(true, false, 0), (false, false, 1)]), Announcement::Local);
        assert_eq!(after(&[(true, false, 0), (false, false, 1), (true, false, 2)]), Announcement::Full);
    }

    #[test]
    fn who_is_asked_to_leave_says_so_for_a_while() {
        let open = (true, false, 0);
        assert_eq!(after(&[open, (true, true, 5)]), Announcement::Leaving);
        assert_eq!(after(&[open, (true, true, 5), (true, true, 14)]), Announcement::Leaving);
        assert_eq!(after(&[open, (true, true, 5), (true, true, 15)]), Announcement::Local);
        assert_eq!(after(&[open, (true, true, 5), (true, true, 15), (true, true, 16)]), Announcement::Local);
        assert_eq!(after(&[open, (true, true, 5), (true, false, 6)]), Announcement::Full);
        assert_eq!(after(&[open, (true, true, 5), (true, true, 15), (true, false, 16)]), Announcement::Full);
    }

    #[test]
    fn who_announced_nothing_has_nobody_to_tell() {
        assert_eq!(after(&[(true, true, 0)]), Announcement::Local);
        assert_eq!(after(&[(true, false, 0), (false, true, 1), (true, true, 2)]), Announcement::Local);
        let now = Instant::now();
        assert_eq!(Gate::Open.next(true, true, Duration::ZERO, now), Gate::Closed);
        assert_eq!(Gate::Open.next(true, true, NOTICE, now).until(), Some(now + NOTICE));
    }
}
