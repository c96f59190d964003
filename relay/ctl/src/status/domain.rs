//! A domain in the status.

use std::io::{self, Write};

use crds::MapDomain;
use serde::Serialize;

use super::trouble::{Trouble, troubles, word};
use crate::text;

/// A line of the table.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Domain {
    namespace: String,
    name: String,
    rules: usize,
    /// How many CEs all rules together can hold.
    ces: Option<i64>,
    /// `True`, or the reason why not.
    accepted: String,
    /// How many relays of all its fleets forward by it, of how many.
    programmed: Option<String>,
    advertised: String,
    troubles: Vec<Trouble>,
}

impl Domain {
    pub(super) fn new(domain: &MapDomain) -> Self {
        let status = domain.status.clone().unwrap_or_default();
        Self {
            namespace: domain.metadata.namespace.clone().unwrap_or_default(),
            name: domain.metadata.name.clone().unwrap_or_default(),
            rules: domain.spec.rules.len(),
            ces: status.ce_count,
            accepted: word(&status.conditions, "Accepted"),
            programmed: status.programmed,
            advertised: word(&status.conditions, "Advertised"),
            troubles: troubles(&status.conditions, domain.metadata.generation),
        }
    }

    pub(super) fn is_well(&self) -> bool {
        self.troubles.is_empty()
    }

    fn row(&self) -> [String; 7] {
        [
            self.name.clone(),
            self.rules.to_string(),
            text::or_dash(self.ces),
            self.accepted.clone(),
            text::or_dash(self.programmed.as_ref()),
            self.advertised.clone(),
            self.troubles.first().map(|trouble| trouble.message.clone()).unwrap_or_default(),
        ]
    }
}

pub(super) fn print(out: &mut dyn Write, domains: &[Domain]) -> io::Result<()> {
    let rows: Vec<_> = domains.iter().map(Domain::row).collect();
    text::table(out, ["DOMAIN", "RULES", "CES", "ACCEPTED", "PROGRAMMED", "ADVERTISED", "WHY-NOT"], &rows)
}
