//! From what people wrote to what it means, and back.
//!
//! This is the only way from a [`MapDomain`] to a [`DomainConfig`]: the operator, the relay and `culvertctl` all take
//! it, so none can refuse what another accepted. It reads: addresses, prefixes, names, numbers that fit. Whether the
//! values make sense together is for [`mape::Fleet::new`] to say. A `BorderRelay` becomes a
//! [`FleetConfig`](crate::FleetConfig) here, checked through and through.

use mape::{DomainConfig, Problem};

use crate::MapDomain;

mod read;
mod read_bgp;
mod read_fleet;
mod read_options;
mod read_pod;
mod read_rule;
mod read_text;
mod write;

pub(crate) use read::read;
pub(crate) use read_fleet::read_fleet;

impl TryFrom<&MapDomain> for DomainConfig {
    type Error = Vec<Problem>;

    /// All problems are found, not only the first; each names its field as `spec.rules[1].psidLength`.
    fn try_from(domain: &MapDomain) -> Result<Self, Vec<Problem>> {
        let (config, problems) = read(domain);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}
