//! Packets in, packets out: the packet path of a MAP-E border relay, without sockets, threads or a clock.
//!
//! ```text
//! classify -> from_ce/{decapsulate, check_source, forward}               -> verdict
//!          -> to_ce/{find_port, choose_ce, fit_mtu, encapsulate}         -> verdict      (hairpin joins the two)
//! ```
//!
//! A driver compiles a [`mape::Fleet`] into a [`Snapshot`], puts what it reads into [`Packet`]s, calls
//! [`Engine::process`], and writes what is left in those buffers and in [`Extras`], as the [`Verdict`]s say. What
//! outlives packets and snapshots is in a [`Memory`] that all workers share.
//! Time is an argument. The same packet gets the same verdict at any batch size.
#![forbid(unsafe_code)]

mod classify;
mod counters;
mod engine;
mod extras;
mod flow;
mod fragments;
mod from_ce;
mod hairpin;
mod icmp;
mod limits;
mod memory;
mod mss;
mod packet;
mod plain;
mod reason;
mod snapshot;
pub mod tables;
mod to_ce;
mod verdict;
pub mod wire;

pub use counters::{Count, Direction, DomainCount, IcmpKind, Kept};
pub use engine::{Engine, Options, Ttl};
pub use extras::Extras;
pub use limits::Now;
pub use memory::Memory;
pub use packet::{HEADROOM, Packet, SLOT};
pub use reason::DropReason;
pub use snapshot::{Defaults, Snapshot};
pub use verdict::{Outcome, Verdict};
