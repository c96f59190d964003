//! The speaker as a process, with Debian's BIRD, against Debian's FRR: each test has a pod and a router in network namespaces
//! of its own, and the speaker no more capabilities than in its container. Needs root, bird2 and frr (scripts/install-tools),
//! and fails without them.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, and how its helpers do")]

mod bfd;
mod documented;
mod drain;
mod lab;
mod passwords;
mod peers;
mod router;
mod routes;
mod speaker;
