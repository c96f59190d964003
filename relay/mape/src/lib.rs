//! The MAP-E algorithm (RFC 7597): which CE owns an IPv4 address and port, and at which IPv6 address it lives.
//!
//! No I/O, no clock, no `unsafe`, no packets. Read it in this order:
//!
//! | module | question it answers |
//! |---|---|
//! | [`ports`] | which ports belong to a PSID (RFC 7597 §5.1) |
//! | [`rule`] | what one mapping rule says (§5.2) |
//! | [`address`] | how a CE's IPv6 address is put together (§5.3, §6) |
//! | [`options`], [`domain`] | what a MAP domain is, beyond its rules |
//! | [`fleet`] | which rule wins, and whether several domains fit together |
//! | [`problem`] | what to say when they do not |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod address;
pub mod domain;
pub mod fleet;
mod index;
pub mod options;
pub mod ports;
pub mod problem;
pub mod rule;
mod validate;

pub use address::Version;
pub use domain::{Domain, DomainConfig, DomainName};
pub use fleet::{Assignment, Fleet, PrefixError, Refusal, Target};
pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use options::Options;
pub use ports::{PortLayout, Psid};
pub use problem::Problem;
pub use rule::{Rule, RuleConfig};
