//! The next revision, if there has to be one.

use std::collections::{BTreeMap, BTreeSet};

use crds::{
    BorderRelay,
    revision::{self, Domain, Object, Revision, drain, fleet, fleet::FleetFile},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use mape::DomainName;

use crate::{
    fleet::found::{Current, Held},
    names,
};

/// The revision of these domains: the one there is if it says the same, else a new one with a higher number.
///
/// # Errors
/// If the domains are more than a revision holds.
pub fn next(
    current: &Current,
    fleet: &str,
    domains: &[Domain],
    traceparent: Option<String>,
) -> Result<Held, revision::Error> {
    let mut domains = domains.to_vec();
    domains.sort_by(|a, b| a.config.name.cmp(&b.config.name));
    let revision = Revision { fleet: fleet.to_owned(), sequence: current.highest + 1, domains, traceparent };
    let hash = revision.hash();
    if let Some(held) = &current.held
        && held.hash == hash
        && held.revision.sequence >= current.highest
    {
        // As they are written now, not as they were read back: the next comparison is with what is written then.
        let revision = Revision { domains: revision.domains, ..held.revision.clone() };
        return Ok(Held { revision, ..held.clone() });
    }
    let objects = revision::encode(&revision)?;
    let since = since(current.held.as_ref(), &revision);
    Ok(Held { revision, hash, since, objects })
}

/// A domain that was there as it is keeps its number: a relay that has that revision forwards by the domain as it is now.
fn since(before: Option<&Held>, revision: &Revision) -> BTreeMap<DomainName, u64> {
    let old: BTreeMap<&DomainName, &Domain> =
        before.iter().flat_map(|held| &held.revision.domains).map(|domain| (&domain.config.name, domain)).collect();
    let since = |domain: &Domain| {
        let same = old.get(&domain.config.name).filter(|old| forwards_alike(old, domain));
        same.and_then(|_| before?.since.get(&domain.config.name).copied()).unwrap_or(revision.sequence)
    };
    revision.domains.iter().map(|domain| (domain.config.name.clone(), since(domain))).collect()
}

/// An object made anew is younger, and forwards the same.
fn forwards_alike(old: &Domain, new: &Domain) -> bool {
    let mut old = old.clone();
    old.config.created = new.config.created;
    old == *new
}

/// What lies beside a revision.
pub(super) struct Beside<'b> {
    /// The pods that have to leave.
    pub(super) leaving: &'b BTreeSet<String>,
    /// The fleet, if it has speakers.
    pub(super) fleet: Option<&'b FleetFile>,
}

/// The ConfigMaps to write, in that order: the index last, so that who reads it finds the rest.
pub(super) fn config_maps(relay: &BorderRelay, held: &Held, beside: &Beside<'_>) -> Vec<ConfigMap> {
    let namespace = relay.namespace().unwrap_or_default();
    let config_map = |(at, object): (usize, &Object)| {
        let mut object = object.clone();
        if at == 0 {
            object.files.insert(drain::FILE.to_owned(), drain::encode(beside.leaving));
            object.files.extend(beside.fleet.map(|it| (fleet::FILE.to_owned(), it.encode())));
        }
        let metadata = names::owned(object.name.clone(), relay);
        ConfigMap { metadata, ..object.config_map(&namespace) }
    };
    held.objects.iter().enumerate().map(config_map).rev().collect()
}

#[cfg(test)]
mod tests {
    use mape::DomainConfig;

    use super::*;

    fn domain(name: &str, mtu: u16) -> Domain {
        let text = format!(
            r#"{{"apiVersion": "culvert.dev/v1alpha1", "kind": "MapDomain", "metadata": {{"name": "{name}"}}, "spec": {{
            "softwireAddress": "3001:db8:ffff::1", "mtu": {{"v6": {mtu}}}, "rules": [{{"name": "r", "ipv4Prefix":
            "192.0.2.0/24", "mapePrefix": "2001:db8:ce::/48", "eaBitsLength": 16, "psidOffset": 6}}]}}}}"#
        );
        let object: crds::MapDomain = serde_json::from_str(&text).unwrap();
        Domain { config: DomainConfig::try_from(&object).unwrap(), communities: Vec::new(), local_preference: None }
    }

    fn current(held: Held) -> Current {
        Current { highest: held.revision.sequence, held: Some(held) }
    }

    #[test]
    fn the_number_grows_by_one_when_the_domains_change_and_only_then() {
        let first = next(&Current::default(), "f", &[domain("a", 1500)], Some("00-trace".to_owned())).unwrap();
        assert_eq!(first.revision.sequence, 1);
        let again = next(&current(first.clone()), "f", &[domain("a", 1500)], Some("00-other".to_owned())).unwrap();
        assert_eq!(again, first);
        let changed = next(&current(again), "f", &[domain("a", 1400)], None).unwrap();
        assert_eq!(changed.revision.sequence, 2);
        assert_ne!(changed.hash, first.hash);
    }

    #[test]
    fn a_number_that_anybody_has_seen_is_not_used_again() {
        let lost = Current { highest: 7, held: None };
        assert_eq!(next(&lost, "f", &[], None).unwrap().revision.sequence, 8);
        let first = next(&Current::default(), "f", &[], None).unwrap();
        let behind = Current { highest: 7, held: Some(first) };
        assert_eq!(next(&behind, "f", &[], None).unwrap().revision.sequence, 8);
    }

    #[test]
    fn each_domain_knows_since_when_it_is_as_it_is() {
        let first = next(&Current::default(), "f", &[domain("a", 1500), domain("b", 1500)], None).unwrap();
        let second = next(&current(first), "f", &[domain("b", 1400), domain("a", 1500)], None).unwrap();
        let since: Vec<(&str, u64)> = second.since.iter().map(|(name, since)| (&*name.name, *since)).collect();
        assert_eq!(since, [("a", 1), ("b", 2)]);
    }

    #[test]
    fn the_index_comes_last_and_carries_the_drain_list_and_the_fleet() {
        let relay: BorderRelay = crate::fleet::fixtures::relay();
        let held = next(&Current::default(), "default", &[domain("a", 1500)], None).unwrap();
        let (leaving, fleet) =
            (["pod-1".to_owned(), "pod-2".to_owned()].into(), FleetFile::new(&relay, BTreeMap::new()));
        let written = config_maps(&relay, &held, &Beside { leaving: &leaving, fleet: Some(&fleet) });
        let index = written.last().unwrap();
        assert_eq!(index.metadata.name.as_deref(), Some("default-revision"));
        let data = index.data.as_ref().unwrap();
        assert_eq!(data["drain"], "pod-1\npod-2\n");
        assert_eq!(FleetFile::decode(data["fleet.json"].as_bytes()).unwrap(), fleet);
        let read = revision::decode(&Object::files_of(index)).unwrap();
        assert_eq!(read.hash(), held.hash);
    }
}
