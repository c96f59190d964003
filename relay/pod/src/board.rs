//! What a container shows of itself: whoever asks for its state waits here for the next change.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

/// How long a question about changes waits for one.
const LONG_POLL: Duration = Duration::from_secs(30);

/// A status that says which of it is reported.
pub trait Reports {
    /// What the operator waits for.
    type Reported: PartialEq;

    /// The same, as it is now.
    fn reported(&self) -> Self::Reported;
}

/// A status, and how often what is reported of it has changed.
pub struct Board<S: Reports> {
    shown: Mutex<Shown<S>>,
    /// The number of the last change.
    sequence: watch::Sender<u64>,
}

struct Shown<S: Reports> {
    status: S,
    /// What was reported last.
    reported: Option<S::Reported>,
}

impl<S: Reports> Board<S> {
    /// Nothing of it has been reported yet.
    pub fn new(status: S) -> Self {
        Self { shown: Mutex::new(Shown { status, reported: None }), sequence: watch::Sender::new(1) }
    }

    /// Looks at the status.
    pub fn read<T>(&self, read: impl FnOnce(&S) -> T) -> T {
        read(&self.lock().status)
    }

    /// Changes the status, and tells those who wait if that changed anything that is reported.
    pub fn update<T>(&self, change: impl FnOnce(&mut S) -> T) -> T {
        let mut shown = self.lock();
        let result = change(&mut shown.status);
        let now = Some(shown.status.reported());
        if now != shown.reported {
            shown.reported = now;
            self.sequence.send_modify(|sequence| *sequence += 1);
        }
        result
    }

    /// The number of the last change, and those to come.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.sequence.subscribe()
    }

    /// Returns once there is a change after that one, or nothing has changed for a while.
    pub async fn changed_since(&self, after: u64) {
        // Whether it changed or not: what there is is what is told.
        let _ = timeout(LONG_POLL, self.changes().wait_for(|sequence| *sequence > after)).await;
    }

    fn lock(&self) -> MutexGuard<'_, Shown<S>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Status {
        told: u32,
        counted: u32,
    }

    impl Reports for Status {
        type Reported = u32;

        fn reported(&self) -> u32 {
            self.told
        }
    }

    #[tokio::test]
    async fn only_what_is_reported_is_a_change() {
        let board = Board::new(Status::default());
        board.update(|_| ());
        let first = *board.changes().borrow();
        board.update(|status| status.counted += 1);
        assert_eq!(*board.changes().borrow(), first);
        let waits = board.changed_since(first);
        board.update(|status| status.told += 1);
        waits.await;
        assert_eq!((*board.changes().borrow(), board.read(|status| status.counted)), (first + 1, 1));
    }
}
