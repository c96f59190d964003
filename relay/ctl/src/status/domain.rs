//! A domain in the status.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use crds::MapDomain;
use serde::Serialize;

use super::trouble::{Trouble, troubles, word};
use crate::{
    text,
    top::{Row, short},
};

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
    /// Per second, where it was asked for and relays have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Row>,
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
            rate: None,
            troubles: troubles(&status.conditions, domain.metadata.generation),
        }
    }

    pub(super) fn is_well(&self) -> bool {
        self.troubles.is_empty()
    }

    pub(super) fn measured(&mut self, rates: &BTreeMap<String, Row>) {
        self.rate = rates.get(&self.name).copied();
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

/// Packets per second stand before the last column, where they were asked for.
pub(super) fn print(out: &mut dyn Write, domains: &[Domain]) -> io::Result<()> {
    const HEAD: [&str; 7] = ["DOMAIN", "RULES", "CES", "ACCEPTED", "PROGRAMMED", "ADVERTISED", "WHY-NOT"];
    let rows: Vec<_> = domains.iter().map(Domain::row).collect();
    if domains.iter().all(|domain| domain.rate.is_none()) {
        return text::table(out, HEAD, &rows);
    }
    let rates = domains.iter().map(|domain| match &domain.rate {
        Some(Row { to_ce, from_ce, dropped }) => [to_ce.packets, from_ce.packets, *dropped].map(short),
        None => ["-"; 3].map(str::to_owned),
    });
    let rows: Vec<_> = rows.into_iter().zip(rates).map(|(row, rate)| with(row, rate)).collect();
    text::table(out, with(HEAD, ["TO-CE/S", "FROM-CE/S", "DROPS/S"]), &rows)
}

fn with<T>([a, b, c, d, e, f, why]: [T; 7], [to_ce, from_ce, dropped]: [T; 3]) -> [T; 10] {
    [a, b, c, d, e, f, to_ce, from_ce, dropped, why]
}
