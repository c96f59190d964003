//! The operator: `BorderRelay` and `MapDomain` objects become fleets of relays.
//!
//! | module | question it answers |
//! |---|---|
//! | [`cli`], [`run`], [`election`] | what it was asked to do; whether it is the one replica that acts |
//! | [`control`] | who looks at what, when, and how often again |
//! | [`fleet`] | what becomes of a `BorderRelay`: `gather -> validate -> build -> apply -> report` |
//! | [`domain`] | what is said about a `MapDomain` |
//! | [`world`], [`networks`], [`watch`], [`triggers`] | what is in the cluster, and what a change in it concerns |
//! | [`poll`], [`answer`], [`relay`], [`speaker`] | what relays and the speakers beside them say |
//! | [`condition`], [`events`], [`status`] | what people read |
//! | [`metrics`], [`propagation`], [`admin`] | what is counted, timed and shown |
//! | [`rbac`] | what it has to be allowed to do |
#![forbid(unsafe_code)]

pub mod admin;
pub mod answer;
pub mod backoff;
pub mod cli;
pub mod condition;
pub mod context;
pub mod control;
pub mod domain;
pub mod election;
pub mod error;
pub mod events;
pub mod fleet;
pub mod keyed;
pub mod metrics;
pub mod names;
pub mod networks;
pub mod poll;
pub mod propagation;
pub mod rbac;
pub mod relay;
pub mod run;
pub mod speaker;
pub mod status;
pub mod triggers;
pub mod watch;
pub mod world;
