//! One number for what all domains say, however it is written.

use std::{collections::HashMap, fmt::Write as _, io};

use mape::{DomainName, Fleet};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Manifest;
use crate::MapDomainSpec;

/// The domains by namespace and name, one JSON object a line, every default and derived number written out. Neither
/// the order of files nor their comments, nor an object's age, changes what a relay forwards by.
pub(super) fn hash(domains: &[Manifest], fleet: &Fleet) -> String {
    let mut sorted: Vec<&Manifest> = domains.iter().collect();
    sorted.sort_by(|a, b| a.config.name.cmp(&b.config.name));
    let compiled = fleet.domains().iter().map(|domain| (domain.name(), domain)).collect();
    let mut sha = Sha(Sha256::new());
    for manifest in sorted {
        let line = serde_json::to_writer(&mut sha, &canonical(manifest, &compiled));
        line.expect("plain data has a JSON form, and a hash takes all of it");
        sha.0.update(b"\n");
    }
    sha.0.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all");
        hex
    })
}

#[derive(Serialize)]
struct Canonical<'m> {
    namespace: &'m str,
    name: &'m str,
    spec: MapDomainSpec,
}

fn canonical<'m>(manifest: &'m Manifest, compiled: &HashMap<&DomainName, &mape::Domain>) -> Canonical<'m> {
    let mut spec = MapDomainSpec::from(&manifest.config);
    let rules = compiled.get(&manifest.config.name).map(|domain| domain.rules()).unwrap_or_default();
    for (written, rule) in spec.rules.iter_mut().zip(rules) {
        written.psid_length = Some(rule.layout().length().into());
    }
    spec.relay_refs = Vec::new();
    spec.advertise.communities.clone_from(&manifest.communities);
    spec.advertise.local_preference = manifest.local_preference.map(i64::from);
    let DomainName { namespace, name } = &manifest.config.name;
    Canonical { namespace, name, spec }
}

struct Sha(Sha256);

impl io::Write for Sha {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
