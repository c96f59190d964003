//! A revision of several ConfigMaps is written one by one: who reads meanwhile looks again.

use std::{thread::sleep, time::Duration};

use crds::{Revision, revision::Error};

use crate::failure::Failure;

/// How often it is read, and how long to wait in between: an operator writes dozens of ConfigMaps a second.
const TIMES: usize = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// Reads until what is there is whole, or stays in parts.
pub(super) fn until_whole(
    mut read: impl FnMut() -> Result<Result<Revision, Error>, Failure>,
) -> Result<Result<Revision, Error>, Failure> {
    for _ in 1..TIMES {
        match read()? {
            Err(Error::Incomplete { .. }) => sleep(PAUSE),
            other => return Ok(other),
        }
    }
    read()
}
