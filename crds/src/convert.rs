//! From what people wrote to what it means, and back.
//!
//! This is the only way from a [`MapDomain`] to a [`DomainConfig`]: the operator, the relay and `culvertctl` all take
//! it, so none can refuse what another accepted. It reads: addresses, prefixes, names, numbers that fit. Whether the
//! values make sense together is for [`mape::Fleet::new`] to say.

use mape::{DomainConfig, Problem};

use crate::MapDomain;

mod read;
mod read_options;
mod read_rule;
mod read_text;
mod write;

pub(crate) use read::read;

impl TryFrom<&MapDomain> for DomainConfig {
    type Error = Vec<Problem>;

    /// All problems are found, not only the first; each names its field as `spec.rules[1].psidLength`.
    fn try_from(domain: &MapDomain) -> Result<Self, Vec<Problem>> {
        let (config, problems) = read(domain);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}
