//! The API of Culvert: what people write, as Rust types, and the one way from there to [`mape`].
//!
//! | module | question it answers |
//! |---|---|
//! | [`map_domain`] | what a `MapDomain` may say; its doc comments are `kubectl explain` |
//! | [`border_relay`] | the same of a fleet, `BorderRelay` |
//! | [`convert`] | what it means: [`mape::DomainConfig`], or every field that means nothing |
//! | [`fleet`] | what a fleet means: [`FleetConfig`], and whether it may serve a domain |
//! | [`manifest`] | how files of manifests become one [`mape::Fleet`], with file and line of all that is wrong |
//! | [`revision`] | what the operator writes and relays read: all domains of a fleet, numbered and hashed |
//! | [`routes`] | what a relay's routes in the kernel tell the speaker beside it |
//! | [`yaml`] | the `CustomResourceDefinition`, as committed under `crds/yaml` |
#![forbid(unsafe_code)]

pub mod border_relay;
mod canonical;
mod cel;
pub mod convert;
pub mod fleet;
pub mod manifest;
pub mod map_domain;
pub mod revision;
pub mod routes;
pub mod yaml;

pub use border_relay::{BorderRelay, BorderRelaySpec, BorderRelayStatus};
pub use fleet::FleetConfig;
pub use map_domain::{MapDomain, MapDomainSpec, MapDomainStatus};
pub use revision::Revision;

/// The API group of every kind of ours.
pub const GROUP: &str = "culvert.dev";

/// The only version there is so far.
pub const VERSION: &str = "v1alpha1";
