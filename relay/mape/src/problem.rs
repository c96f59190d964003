//! What to say about a configuration that is refused: which field, what was found, what is allowed, and why.

use alloc::{borrow::Cow, string::String};

use crate::DomainName;

/// One reason to refuse a configuration. Shown as `spec.rules[1].psidLength: found 6, allowed 8: why`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found}, allowed {allowed}: {why}")]
pub struct Problem {
    /// The domain that has to change.
    pub domain: DomainName,
    /// The field's path from the manifest's root: `spec.rules[1].psidLength`.
    pub field: String,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
    /// The reason, with its source.
    pub why: Cow<'static, str>,
    /// The other domain, where two contradict each other: that one, the older, keeps working.
    pub conflicts_with: Option<DomainName>,
}
