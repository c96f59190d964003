//! Which revision is taken: the highest number wins, and one number means one revision.

use std::collections::BTreeMap;

use crds::revision::{Error, Revision};

use crate::{FleetName, Source};

/// Why a revision is not taken: a word for conditions, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The word.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
}

/// A revision by number and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub sequence: u64,
    /// [`Revision::hash`].
    pub hash: String,
}

/// What to do about an offer.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Work by it.
    Take(Revision, Identity),
    /// It is in use already: now this source has it too.
    Confirmed,
    /// Nothing.
    Leave,
}

/// What is in use, and what is wrong with what came later.
#[derive(Debug, Default)]
pub struct Choice {
    fleet: Option<FleetName>,
    active: Option<Identity>,
    refusals: BTreeMap<Source, Refusal>,
}

impl Choice {
    /// For a pod of this fleet, if it is of one.
    #[must_use]
    pub fn new(fleet: Option<FleetName>) -> Self {
        Self { fleet, ..Self::default() }
    }

    /// Decides about what a source has. [`Choice::activated`] and [`Choice::refuse`] say how a `Take` ended.
    pub fn consider(&mut self, source: Source, read: Result<Revision, Error>) -> Decision {
        self.refusals.remove(&source);
        let decision = read.map_err(Refusal::from).and_then(|revision| self.decide(source, revision));
        decision.unwrap_or_else(|refusal| {
            self.refuse(source, refusal);
            Decision::Leave
        })
    }

    fn decide(&self, source: Source, revision: Revision) -> Result<Decision, Refusal> {
        if let Some(fleet) = self.fleet.as_ref().filter(|fleet| fleet.name != revision.fleet) {
            let message = format!("the revision is of fleet {}, and this pod of {}", revision.fleet, fleet.name);
            return Err(Refusal { reason: "OtherFleet", message });
        }
        let offered = Identity { sequence: revision.sequence, hash: revision.hash() };
        let Some(active) = &self.active else { return Ok(Decision::Take(revision, offered)) };
        if offered.sequence > active.sequence {
            return Ok(Decision::Take(revision, offered));
        }
        if *active == offered {
            return Ok(Decision::Confirmed);
        }
        if offered.sequence == active.sequence {
            let Identity { sequence, hash } = active;
            let message = format!(
                "revision {sequence} says something else ({}) than the revision {sequence} in use ({hash}): a number must \
                 mean one revision; change any domain of the fleet, and the operator writes the next one",
                offered.hash
            );
            return Err(Refusal { reason: "SequenceReused", message });
        }
        // The mounted copy lags, and the last good one is older by nature; the API server is neither.
        if source == Source::Api {
            let message = format!(
                "the API server has revision {}, older than {} in use: was it restored from a backup? Change any domain \
                 of the fleet until the numbers are higher, or restart the relays",
                offered.sequence, active.sequence
            );
            return Err(Refusal { reason: "Older", message });
        }
        Ok(Decision::Leave)
    }

    /// A revision is in use from now on.
    pub fn activated(&mut self, identity: Identity) {
        self.active = Some(identity);
        self.refusals.remove(&Source::LastGood);
    }

    /// What a source has is not taken.
    pub fn refuse(&mut self, source: Source, refusal: Refusal) {
        self.refusals.insert(source, refusal);
    }

    /// What to tell: what is wrong with what the API server has; with the copies only as long as it has said nothing.
    #[must_use]
    pub fn refusal(&self, api_has_spoken: bool) -> Option<&Refusal> {
        let (source, refusal) = self.refusals.first_key_value()?;
        (*source == Source::Api || !api_has_spoken).then_some(refusal)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let reason = match error {
            Error::NoIndex => "NoRevision",
            Error::Incomplete { .. } => "Incomplete",
            Error::NewerFormat(_) => "NewerFormat",
            Error::WrongHash { .. } => "WrongHash",
            _ => "Unreadable",
        };
        Self { reason, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(sequence: u64, domains: &[&str]) -> Revision {
        let domain = |name: &&str| crds::revision::Domain {
            config: mape::DomainConfig {
                name: mape::DomainName { namespace: "isps".to_owned(), name: (*name).to_owned() },
                created: 0,
                softwire_address: "2001:db8::1".parse().unwrap(),
                version: mape::Version::Rfc7597,
                rules: Vec::new(),
                options: mape::Options::default(),
            },
            communities: Vec::new(),
            local_preference: None,
        };
        let domains = domains.iter().map(domain).collect();
        Revision { fleet: "default".to_owned(), sequence, domains, traceparent: None }
    }

    fn choice() -> Choice {
        let mut choice = Choice::new(Some("isps/default".parse().unwrap()));
        take(&mut choice, Source::Api, revision(5, &["a"]));
        choice
    }

    fn take(choice: &mut Choice, source: Source, revision: Revision) {
        match choice.consider(source, Ok(revision)) {
            Decision::Take(_, identity) => choice.activated(identity),
            other => panic!("{other:?}"),
        }
    }

    fn reason(choice: &Choice, api_has_spoken: bool) -> Option<&'static str> {
        choice.refusal(api_has_spoken).map(|refusal| refusal.reason)
    }

    #[test]
    fn the_highest_number_wins_wherever_it_comes_from() {
        let mut choice = choice();
        assert_eq!(choice.consider(Source::Mounted, Ok(revision(4, &["b"]))), Decision::Leave);
        assert_eq!(reason(&choice, false), None);
        take(&mut choice, Source::Mounted, revision(6, &["b"]));
        assert_eq!(choice.consider(Source::Api, Ok(revision(6, &["b"]))), Decision::Confirmed);
        assert_eq!(choice.consider(Source::Api, Ok(revision(5, &["a"]))), Decision::Leave);
        assert_eq!(reason(&choice, true), Some("Older"));
        take(&mut choice, Source::Api, revision(7, &["a"]));
        assert_eq!(reason(&choice, true), None);
    }

    #[test]
    fn one_number_means_one_revision() {
        let mut choice = choice();
        assert_eq!(choice.consider(Source::Api, Ok(revision(5, &["b"]))), Decision::Leave);
        assert_eq!(reason(&choice, true), Some("SequenceReused"));
        assert_eq!(choice.consider(Source::Api, Ok(revision(5, &["a"]))), Decision::Confirmed);
        assert_eq!(reason(&choice, true), None);
    }

    #[test]
    fn what_cannot_be_read_changes_nothing_and_is_told() {
        let mut choice = choice();
        let incomplete = Error::Incomplete { sequence: 6, missing: vec!["domains-0.gz".to_owned()], stale: Vec::new() };
        for (error, word) in
            [(Error::NewerFormat(2), "NewerFormat"), (incomplete, "Incomplete"), (Error::NoIndex, "NoRevision")]
        {
            assert_eq!(choice.consider(Source::Mounted, Err(error)), Decision::Leave);
            assert_eq!(reason(&choice, false), Some(word));
            assert_eq!(reason(&choice, true), None, "the API server knows better");
        }
    }

    #[test]
    fn another_fleets_revision_is_refused() {
        let mut choice = choice();
        let other = Revision { fleet: "other".to_owned(), ..revision(9, &["a"]) };
        assert_eq!(choice.consider(Source::Api, Ok(other)), Decision::Leave);
        assert_eq!(reason(&choice, true), Some("OtherFleet"));
    }
}
