//! A revision: everything the relays of a fleet forward by, numbered and hashed. The operator writes it, relays,
//! speakers and `culvertctl` read it; all of them here, and none of it touches a file or a network.
//!
//! It is a set of small files, whether they lie in ConfigMaps, in a mounted directory or in the copy that a relay keeps:
//!
//! | file | what it is |
//! |---|---|
//! | [`INDEX`] | [`Index`], as JSON: number, hash, and the chunks that belong to it |
//! | `domains-0.gz`, `domains-1.gz`, ... | the domains, a line of JSON each, as one gzip stream cut into chunks |
//! | [`drain::FILE`] | the pods that have to leave, see [`drain`]; no part of the revision or of its hash |
//! | [`fleet::FILE`] | the fleet, for speakers, see [`fleet`]; no part of either |
//!
//! The ConfigMap [`object_name`]`(fleet, 0)` holds the index, and the chunk too if there is only one: so almost every
//! revision changes in one step. More chunks have a ConfigMap each, [`object_name`]`(fleet, 1)` and so on, and the index
//! their hashes: who reads while they are being written sees that they do not belong together, and waits
//! ([`Error::is_not_yet`]).

use std::collections::BTreeMap;

use mape::{DomainConfig, Fleet, Problem};

pub mod drain;
mod error;
pub mod fleet;
mod index;
mod object;
mod read;
mod write;

use crate::{
    MapDomain, MapDomainSpec,
    canonical::{self, Canonical},
    manifest::Manifest,
    map_domain::Advertise,
};

pub use error::Error;
pub use index::{Chunk, Index};
pub use object::{Object, object_name, object_names};
pub use read::decode;
pub use write::encode;

/// The newest format that this code reads. Whatever older code would misread raises it: a new field of a domain that
/// changes what a relay does, for one. What is written has the oldest format that says it all, so that an operator can be
/// newer than its relays for as long as no domain needs what they do not know.
///
/// | format | since then |
/// |---|---|
/// | 1 | |
/// | 2 | `advertise.ipv4Aggregates` |
pub const FORMAT_VERSION: u32 = 2;

/// The index's file.
pub const INDEX: &str = "index.json";

/// As many bytes as a chunk may have: with an index beside it, and in the base64 of JSON, it stays below the 1 MiB that a
/// ConfigMap may have and far below the 1.5 MiB of etcd.
pub const CHUNK_BYTES: usize = 700_000;

/// As many chunks as there may be: 1,048,576 rules, which is what [`mape::Fleet`] takes, need 13 if they are numbered as
/// people number them (`cargo run --release -p crds --example revision_size`).
pub const MAX_CHUNKS: usize = 64;

/// As many bytes as the domains may have, unpacked: twice what 1,048,576 ordinary rules have. A reader goes no further.
pub const MAX_BYTES: u64 = 256 << 20;

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// All the domains of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The fleet: the name of its `BorderRelay`.
    pub fleet: String,
    /// Its number: a newer one has a higher. At most `i64::MAX`, as Kubernetes has no larger numbers.
    pub sequence: u64,
    /// The domains, by namespace and name.
    pub domains: Vec<Domain>,
    /// What led to it: a W3C `traceparent`.
    pub traceparent: Option<String>,
}

/// A domain, with what only a speaker wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The domain. What is read states every PSID length, derived or not.
    pub config: DomainConfig,
    /// The BGP communities of its announcements.
    pub communities: Vec<String>,
    /// The BGP local preference of its announcements, if it states one.
    pub local_preference: Option<u32>,
}

impl Revision {
    /// SHA-256, in hex, of what the domains say: what `culvertctl check` prints for their manifests. Neither number nor
    /// age nor trace is in it: equal hashes forward alike.
    #[must_use]
    pub fn hash(&self) -> String {
        canonical::hash(self.domains.iter().map(Domain::canonical))
    }

    /// How many mapping rules there are.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.domains.iter().map(|domain| domain.config.rules.len()).sum()
    }

    /// The domains, checked together: what a relay compiles.
    ///
    /// # Errors
    /// All that is wrong with them. The operator writes nothing that has such problems.
    pub fn compile(&self) -> Result<Fleet, Vec<Problem>> {
        Fleet::new(self.domains.iter().map(|domain| domain.config.clone()).collect())
    }
}

/// The oldest format that says all of these domains.
pub fn format_version<'c>(mut configs: impl Iterator<Item = &'c DomainConfig>) -> u32 {
    if configs.any(|config| !config.options.advertise.ipv4_aggregates.is_empty()) { 2 } else { 1 }
}

impl Domain {
    /// A domain, and what its spec says to speakers.
    #[must_use]
    pub fn new(config: DomainConfig, advertise: &Advertise) -> Self {
        Self { config, communities: advertise.communities.clone(), local_preference: advertise.local_preference() }
    }

    /// What it says, with every default and derived number written out, and without the fleets that serve it.
    #[must_use]
    pub fn spec(&self) -> MapDomainSpec {
        self.canonical().spec
    }

    fn canonical(&self) -> Canonical {
        Canonical::new(&self.config, &self.communities, self.local_preference)
    }
}

impl TryFrom<&MapDomain> for Domain {
    type Error = Vec<Problem>;

    fn try_from(object: &MapDomain) -> Result<Self, Vec<Problem>> {
        Ok(Self::new(object.try_into()?, &object.spec.advertise))
    }
}

impl From<&Manifest> for Domain {
    fn from(manifest: &Manifest) -> Self {
        let Manifest { config, communities, local_preference, .. } = manifest.clone();
        Self { config, communities, local_preference }
    }
}
