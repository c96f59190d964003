//! Sockets in other network namespaces.

use std::{fs::File, os::fd::AsFd, path::Path, thread};

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Does `work` in a network namespace. The sockets that it opens stay there; nobody else notices, for it has a thread of
/// its own.
pub(crate) fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let entered = || {
        let file = File::open(namespace).with_context(|| namespace.display().to_string())?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("entering {}", namespace.display()))?;
        work()
    };
    thread::scope(|scope| match scope.spawn(entered).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
