//! Captures: what workers see, for who may look. Packets are what customers say to each other, so there is no way to them by the
//! network, only by a socket in the file system of the relay's own container.
//!
//! ```text
//! worker -- Tap: a bounded queue, full means lost and counted --> server: a thread for each who asks -- frames --> client
//! ```

mod client;
mod server;
mod tap;

pub(crate) use client::run;
pub(crate) use server::{Server, serve};
pub(crate) use tap::Tap;
