//! Revisions on their way to traffic: read, chosen, activated, kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use crds::revision::{self, INDEX, Index, Revision};
use telemetry::{follow, link};
use tokio::task::block_in_place;
use tracing::{Instrument, Span, debug_span, field::Empty};

use super::{Relay, Target};
use crate::{
    cli::Options,
    obstacles::Obstacle,
    revision::{
        Offer, Source,
        choice::{Choice, Decision, Identity, Refusal},
        history, last_good, mounted,
    },
    shared::Shared,
};

/// What a relay knows of revisions.
pub(super) struct Revisions {
    shared: Arc<Shared>,
    mounted: Option<PathBuf>,
    state: Option<PathBuf>,
    choice: Choice,
    /// The pods that have to leave, as each source says.
    draining: BTreeMap<Source, BTreeSet<String>>,
    /// Why the state directory cannot be used.
    trouble: Option<String>,
}

impl Revisions {
    pub(super) fn new(options: &Options, shared: &Arc<Shared>) -> Self {
        let mut revisions = Self {
            shared: Arc::clone(shared),
            mounted: options.revision_dir.clone(),
            state: options.state_dir.clone(),
            choice: Choice::new(options.fleet.clone()),
            draining: BTreeMap::new(),
            trouble: None,
        };
        revisions.remember_history();
        revisions
    }

    fn remember_history(&mut self) {
        let Some(state) = &self.state else { return };
        match history::load(state) {
            Ok(history) => self.shared.update(|status| status.history = history.into()),
            Err(error) => self.trouble = Some(format!("{}: {error}", state.display())),
        }
    }

    /// What there is to start from: the highest number first.
    pub(super) fn kept(&self) -> Vec<Offer> {
        let read = |(source, files): (Source, std::io::Result<revision::Files>)| match files {
            Ok(files) => Some(Offer { source, files }),
            Err(error) => {
                tracing::warn!(source = source.word(), %error, "a revision cannot be read");
                None
            }
        };
        let mounted = self.mounted.as_ref().map(|folder| (Source::Mounted, mounted::read(folder)));
        let last_good = self.state.as_ref().map(|state| (Source::LastGood, last_good::load(state)));
        let mut offers: Vec<Offer> = [mounted, last_good].into_iter().flatten().filter_map(read).collect();
        // Nothing kept is nothing wrong.
        offers.retain(|offer| offer.source == Source::Mounted || !offer.files.is_empty());
        offers.sort_by_key(|offer| std::cmp::Reverse(sequence(offer)));
        offers
    }

    /// What keeps the relay from keeping revisions.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        let why = self.trouble.as_ref()?;
        let message =
            format!("the state directory cannot be used ({why}): is there an emptyDir, writable and large enough?");
        Some(Obstacle::new("StateDirUnusable", message))
    }

    /// Says what is wrong with the newest revision, if anything is, and whether the pod has to leave.
    pub(super) fn report(&self) {
        let api_has_spoken = self.shared.contact.has_spoken();
        let refusal = self.choice.refusal(api_has_spoken).cloned();
        let source = if api_has_spoken { Source::Api } else { Source::Mounted };
        let pod = self.shared.identity.pod.as_ref();
        let draining = pod.is_some_and(|pod| self.draining.get(&source).is_some_and(|pods| pods.contains(pod)));
        self.shared.update(|status| {
            if let Some(refusal) = refusal.iter().find(|refusal| status.refusal.as_ref() != Some(*refusal)) {
                tracing::warn!(
                    reason = refusal.reason,
                    "a revision is not taken, the old tables stay: {}",
                    refusal.message
                );
            }
            (status.refusal, status.readiness.draining) = (refusal, draining);
        });
    }

    /// Keeps what is in use now.
    fn keep(&mut self, identity: &Identity, files: &revision::Files) {
        let Some(state) = &self.state else { return };
        let newest = self.shared.look().0.history.back().cloned();
        let kept = last_good::save(state, identity, files)
            .and_then(|()| newest.map_or(Ok(()), |activation| history::append(state, &activation)));
        self.trouble = kept.err().map(|error| format!("{}: {error}", state.display()));
    }
}

fn sequence(offer: &Offer) -> Option<u64> {
    offer.files.get(INDEX).and_then(|bytes| Index::parse(bytes).ok()).map(|index| index.sequence)
}

/// Has the relay forward by an offer, if it is the newest that is sound.
pub(super) async fn consider(relay: &mut Relay, offer: Offer) {
    relay.revisions.draining.insert(offer.source, offer.draining());
    let read = block_in_place(|| revision::decode(&offer.files));
    match relay.revisions.choice.consider(offer.source, read) {
        Decision::Take(revision, identity) => {
            let span = span(&offer, &revision, &identity, relay.target.sequence.is_none());
            take(relay, &offer, revision, identity).instrument(span).await;
        }
        Decision::Confirmed => relay.shared.update(|status| {
            let source = status.config.source.get_or_insert(offer.source);
            *source = offer.source.min(*source);
        }),
        Decision::Leave => {}
    }
    relay.revisions.report();
}

/// Programming is part of what led to the revision. What a relay starts with may have come about long before.
fn span(offer: &Offer, revision: &Revision, identity: &Identity, is_first: bool) -> Span {
    let span = debug_span!(
        "program revision",
        sequence = identity.sequence,
        hash = identity.hash,
        source = offer.source.word(),
        domains = revision.domains.len(),
        rules = revision.rules(),
        otel.status_code = Empty,
        otel.status_description = Empty,
    );
    let traceparent = revision.traceparent.as_deref();
    if is_first { link(span, traceparent) } else { follow(span, traceparent) }
}

async fn take(relay: &mut Relay, offer: &Offer, revision: Revision, identity: Identity) {
    let target = block_in_place(|| debug_span!("compile").in_scope(|| target(offer.source, revision, &identity)));
    let taken = match target {
        Ok(target) => relay.take(target).await.map_err(|errors| Refusal {
            reason: "NotActivated",
            message: format!("revision {} cannot be used: {}", identity.sequence, errors.join("; ")),
        }),
        Err(refusal) => Err(refusal),
    };
    match taken {
        Ok(()) => {
            tracing::info!(
                revision = identity.sequence,
                hash = identity.hash,
                source = offer.source.word(),
                domains = relay.target.fleet.domains().len(),
                rules = relay.target.fleet.rules().count(),
                "revision in use"
            );
            block_in_place(|| debug_span!("keep").in_scope(|| relay.revisions.keep(&identity, &offer.files)));
            relay.revisions.choice.activated(identity);
        }
        Err(refusal) => {
            let span = Span::current();
            span.record("otel.status_code", "ERROR").record("otel.status_description", &refusal.message);
            relay.shared.update(|status| status.config.failures += 1);
            relay.revisions.choice.refuse(offer.source, refusal);
        }
    }
}

fn target(source: Source, revision: Revision, identity: &Identity) -> Result<Target, Refusal> {
    let fleet = revision.compile().map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(|problem| format!("{}: {problem}", problem.domain)).collect();
        let message = format!("revision {} is not sound: {}", identity.sequence, problems.join("; "));
        Refusal { reason: "Unsound", message }
    })?;
    let configs = revision.domains.into_iter().map(|domain| domain.config).collect();
    let (hash, sequence) = (identity.hash.clone(), Some(identity.sequence));
    Ok(Target { configs, fleet, hash, sequence, source: Some(source) })
}
