//! A capture of packets at a relay, without sockets, threads or a clock.
//!
//! | module | question it answers |
//! |---|---|
//! | `request` | what is asked for: [`Request`], which packets and how many; the flags of `culvertctl` and `culvert-relay` |
//! | `headers` | which addresses and ports a packet has, however deep they lie: [`Headers`] |
//! | [`pcapng`] | how packets and what became of them are written down |
//! | [`frame`] | how that travels from the relay to who asked |
#![forbid(unsafe_code)]

pub mod frame;
mod headers;
pub mod pcapng;
mod request;

pub use headers::Headers;
pub use request::{Request, Verdict, Way};
