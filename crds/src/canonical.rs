//! One way to write down what a domain says, whoever wrote it: for hashes, and for revisions.

use std::{fmt::Write as _, io};

use mape::{DomainConfig, DomainName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::MapDomainSpec;

/// A domain, every default and derived number written out.
#[derive(Serialize, Deserialize)]
pub(crate) struct Canonical {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// In seconds since 1970, 0 if unknown.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub(crate) created: i64,
    pub(crate) spec: MapDomainSpec,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_unknown(created: &i64) -> bool {
    *created == 0
}

impl Canonical {
    /// The fleets that serve it are left out: they are the same for all that is written down together.
    pub(crate) fn new(config: &DomainConfig, communities: &[String], local_preference: Option<u32>) -> Self {
        let mut spec = MapDomainSpec::from(config);
        for (written, rule) in spec.rules.iter_mut().zip(&config.rules) {
            let host_bits = 32 - rule.ipv4_prefix.prefix_len();
            let derived = rule.ea_bits_length.saturating_sub(host_bits);
            let given = rule.psid_length.unwrap_or(0);
            written.psid_length = Some(if rule.ea_bits_length == 0 { given } else { derived }.into());
        }
        spec.relay_refs = Vec::new();
        spec.advertise.communities = communities.to_vec();
        spec.advertise.local_preference = local_preference.map(i64::from);
        let DomainName { namespace, name } = config.name.clone();
        Self { namespace, name, created: config.created, spec }
    }

    /// One line of JSON.
    pub(crate) fn write(&self, into: &mut impl io::Write) -> io::Result<()> {
        serde_json::to_writer(&mut *into, self)?;
        into.write_all(b"\n")
    }
}

/// SHA-256, in hex, of the domains by namespace and name. An object's age changes nothing that a relay forwards by.
pub(crate) fn hash(domains: impl Iterator<Item = Canonical>) -> String {
    let mut domains: Vec<Canonical> = domains.collect();
    domains.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let (mut sha, mut line) = (Sha256::new(), Vec::new());
    for domain in domains {
        line.clear();
        let written = Canonical { created: 0, ..domain }.write(&mut line);
        written.expect("plain data has a JSON form, and memory takes all of it");
        sha.update(&line);
    }
    hex(&sha.finalize())
}

/// SHA-256 of bytes, in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all");
        hex
    })
}
