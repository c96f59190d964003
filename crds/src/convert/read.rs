//! A `MapDomain`, field by field.

use std::{fmt::Display, net::Ipv6Addr, ops::RangeInclusive};

use kube::core::ObjectMeta;
use mape::{DomainConfig, DomainName, Problem};

use super::{read_options::options, read_rule::rule, read_text};
use crate::{MapDomain, map_domain::Version};

/// The config and all that is wrong with it. Where a field could not be read the config has a stand-in, so that
/// the others can still be checked; it is good for nothing else.
pub(crate) fn read(domain: &MapDomain) -> (DomainConfig, Vec<Problem>) {
    let mut reader = Reader::new(&domain.metadata);
    reader.names(&domain.metadata);
    reader.relay_refs(domain);
    let spec = &domain.spec;
    let config = DomainConfig {
        name: reader.name.clone(),
        created: domain.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
        softwire_address: reader.softwire_address(&spec.softwire_address),
        version: match spec.version {
            Version::Rfc7597 => mape::Version::Rfc7597,
            Version::Draft03 => mape::Version::Draft03,
        },
        rules: spec.rules.iter().enumerate().map(|(at, written)| rule(&mut reader, at, written)).collect(),
        options: options(&mut reader, spec),
    };
    (config, reader.problems)
}

fn name_of(metadata: &ObjectMeta) -> DomainName {
    // An empty one is none, as for kubectl.
    let namespace = metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty());
    DomainName { namespace: namespace.unwrap_or("default").to_owned(), name: metadata.name.clone().unwrap_or_default() }
}

/// One object's fields as they are read, and what was wrong with them.
pub(super) struct Reader {
    name: DomainName,
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(metadata: &ObjectMeta) -> Self {
        Self { name: name_of(metadata), problems: Vec::new() }
    }

    pub(super) fn name(&self) -> &DomainName {
        &self.name
    }

    pub(super) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(super) fn names(&mut self, metadata: &ObjectMeta) {
        let DomainName { namespace, name } = self.name.clone();
        let why = "Kubernetes has no other names (RFC 1123)";
        if metadata.name.is_none() {
            self.refuse("metadata.name", "none", "a name", "an object is known by its namespace and name");
        } else if !read_text::is_subdomain(&name) {
            self.refuse("metadata.name", quoted(&name), read_text::SUBDOMAIN, why);
        }
        if !read_text::is_label(&namespace) {
            self.refuse("metadata.namespace", quoted(&namespace), read_text::LABEL, why);
        }
    }

    fn relay_refs(&mut self, domain: &MapDomain) {
        let refs = &domain.spec.relay_refs;
        if !(1..=8).contains(&refs.len()) {
            let why = "a domain is served by a fleet, and by several only on the move; left out it is `default`";
            self.refuse("spec.relayRefs", format!("{} of them", refs.len()), "1 to 8", why);
        }
        for (at, fleet) in refs.iter().enumerate() {
            let field = format!("spec.relayRefs[{at}].name");
            if !read_text::is_label(&fleet.name) {
                let why = "it is the name of a BorderRelay (RFC 1123)";
                self.refuse(field, quoted(&fleet.name), read_text::LABEL, why);
            } else if let Some(first) = refs[..at].iter().position(|other| other.name == fleet.name) {
                let why = format!("spec.relayRefs[{first}] names it already");
                self.refuse(field, quoted(&fleet.name), "each fleet once", why);
            }
        }
    }

    fn softwire_address(&mut self, text: &str) -> Ipv6Addr {
        self.parsed("spec.softwireAddress", text, read_text::ipv6_address, Ipv6Addr::UNSPECIFIED)
    }

    /// Reads `text`, or reports what is wrong with it and goes on with `stand_in`.
    pub(super) fn parsed<T>(
        &mut self,
        field: impl Display,
        text: &str,
        parse: impl Fn(&str) -> Result<T, read_text::Complaint>,
        stand_in: T,
    ) -> T {
        parse(text).unwrap_or_else(|complaint| {
            self.refuse(field, quoted(text), complaint.allowed, complaint.why);
            stand_in
        })
    }

    /// Takes a number over if the narrower type holds it. Whether it is in `range` is checked later, with the reason
    /// at hand; one that is far outside is refused here, in the same words.
    pub(super) fn number<T: TryFrom<i64> + Default>(
        &mut self,
        field: impl Display,
        number: i64,
        range: RangeInclusive<i64>,
        why: &str,
    ) -> T {
        T::try_from(number).unwrap_or_else(|_| {
            self.refuse(field, number, format!("{} to {}", range.start(), range.end()), why);
            T::default()
        })
    }

    /// Takes a number over if it is in `range`; the least of it if not.
    pub(super) fn within<T: TryFrom<i64> + Default>(
        &mut self,
        field: impl Display,
        number: i64,
        range: RangeInclusive<i64>,
        why: &str,
    ) -> T {
        if !range.contains(&number) {
            self.refuse(field, number, format!("{} to {}", range.start(), range.end()), why);
        }
        T::try_from(number.clamp(*range.start(), *range.end())).unwrap_or_default()
    }

    pub(super) fn refuse(
        &mut self,
        field: impl Display,
        found: impl Display,
        allowed: impl Display,
        why: impl Into<String>,
    ) {
        self.problems.push(Problem {
            domain: self.name.clone(),
            field: field.to_string(),
            found: found.to_string(),
            allowed: allowed.to_string(),
            why: why.into().into(),
            conflicts_with: None,
        });
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("`{text}`")
}
