//! The relay as a process, in network namespaces of its own: needs root and iproute2, and fails without them.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, and how its helpers do")]

mod aggregates;
mod api;
mod capture;
mod hangs;
mod node;
mod own_table;
mod peers;
mod pod;
mod probe;
mod refusals;
mod reload;
mod revisions;
mod run;
mod sessions;
mod sides;
mod speaker;
mod traffic;
