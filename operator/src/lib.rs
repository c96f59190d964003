//! The operator: `BorderRelay` and `MapDomain` objects become fleets of relays.
#![forbid(unsafe_code)]

pub mod condition;
pub mod domain;
pub mod fleet;
pub mod names;
pub mod relay;
