//! A MAP domain: rules plus a border relay address (RFC 7597 §3).

use alloc::{string::String, vec::Vec};
use core::{fmt, net::Ipv6Addr};

use crate::{Options, Rule, RuleConfig, Version};

/// Who a domain is: the namespace and name of its `MapDomain`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName {
    /// The namespace; `default` where a manifest names none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A domain as written, unchecked. [`Fleet::new`](crate::Fleet::new) makes it a [`Domain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainConfig {
    /// Who it is.
    pub name: DomainName,
    /// When it was created, in seconds since 1970, 0 if unknown: of two that conflict the older keeps working.
    pub created: i64,
    /// The BR address.
    pub softwire_address: Ipv6Addr,
    /// The layout of the CEs' interface identifiers.
    pub version: Version,
    /// The mapping rules, 1 to [`MAX_RULES_PER_DOMAIN`].
    pub rules: Vec<RuleConfig>,
    /// All else.
    pub options: Options,
}

/// As many rules as one manifest may hold: 1,000 keep it below the size limit of an object in Kubernetes (1.5 MiB).
pub const MAX_RULES_PER_DOMAIN: usize = 1000;

/// A domain whose every rule is sound. Made by [`Fleet::new`](crate::Fleet::new) only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    pub(crate) name: DomainName,
    pub(crate) softwire_address: Ipv6Addr,
    pub(crate) version: Version,
    pub(crate) options: Options,
    pub(crate) rules: Vec<Rule>,
}

impl Domain {
    /// Who it is.
    #[must_use]
    pub fn name(&self) -> &DomainName {
        &self.name
    }

    /// The BR address.
    #[must_use]
    pub fn softwire_address(&self) -> Ipv6Addr {
        self.softwire_address
    }

    /// The layout of the CEs' interface identifiers.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// All else.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The mapping rules, in the order written.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}
