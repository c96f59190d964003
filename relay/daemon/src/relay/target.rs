//! What a relay shall forward.

use crds::revision::format_version;
use jiff::Timestamp;
use mape::{DomainConfig, Fleet};

use crate::{
    config::Loaded,
    revision::{Source, history::Activation},
    shared::{Config, DomainSummary},
};

/// Domains that are sound, and where they come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    pub(crate) configs: Vec<DomainConfig>,
    pub(crate) fleet: Fleet,
    pub(crate) hash: String,
    /// The number of a revision.
    pub(crate) sequence: Option<u64>,
    pub(crate) source: Option<Source>,
}

impl Target {
    /// For the history.
    pub(super) fn activation(&self, at: Timestamp) -> Activation {
        Activation {
            sequence: self.sequence,
            hash: self.hash.clone(),
            at: at.to_string(),
            domains: self.fleet.domains().len(),
            rules: self.fleet.rules().count(),
        }
    }

    /// For everybody who asks.
    pub(super) fn describe(&self, config: &mut Config) {
        config.hash.clone_from(&self.hash);
        (config.sequence, config.source) = (self.sequence, self.source);
        config.format_version = format_version(self.configs.iter());
        config.since = Some(Timestamp::now());
        config.domains = self.fleet.domains().iter().map(DomainSummary::from).collect();
    }
}

impl From<Loaded> for Target {
    fn from(Loaded { configs, fleet, hash }: Loaded) -> Self {
        Self { configs, fleet, hash, sequence: None, source: Some(Source::Files) }
    }
}
