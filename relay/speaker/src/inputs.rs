//! What a speaker works by, from wherever it comes: the fleet and its domains, passwords, the pod.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use crds::{
    FleetConfig,
    fleet::PeerConfig,
    revision::{
        self, Domain, Revision,
        fleet::{FILE, FleetFile},
    },
};
use mape::DomainName;
use pod::{
    FleetName, Offer, Replaced, Source,
    choice::{Choice, Decision, Identity, Refusal},
    mounted,
};

use crate::{
    host::Host,
    plan::{Attributes, Input, Obstacle, Phase, Plan, Pod},
    trace::News,
};

/// A relay may read a revision so much later than its speaker.
const LATE: Duration = Duration::from_secs(60);

/// All of it.
pub(crate) struct Inputs {
    name: FleetName,
    choice: Choice,
    revision: Option<(Identity, Vec<Domain>)>,
    /// What led to it.
    traceparent: Option<String>,
    /// What earlier revisions announced in another shape, and until when it may be.
    replaced: Replaced<Attributes>,
    /// The fleet as each source has it, or why it is none.
    fleets: BTreeMap<Source, Result<Fleet, String>>,
    /// The pods that have to leave, as each source says.
    leaving: BTreeMap<Source, BTreeSet<String>>,
    passwords: BTreeMap<String, Vec<u8>>,
    pod: Pod,
    /// What keeps the pod's network from being known.
    trouble: Option<String>,
}

/// A fleet, and the file that says so.
struct Fleet {
    file: FleetFile,
    config: FleetConfig,
}

impl Inputs {
    pub(crate) fn new(name: FleetName, pod: &str, node: &str) -> Self {
        Self {
            choice: Choice::new(Some(name.clone())),
            name,
            revision: None,
            traceparent: None,
            replaced: Replaced::default(),
            fleets: BTreeMap::new(),
            leaving: BTreeMap::new(),
            passwords: BTreeMap::new(),
            pod: Pod { name: pod.to_owned(), node: node.to_owned(), ..Pod::default() },
            trouble: None,
        }
    }

    /// Takes what a source has: revision, fleet and drain list, each for itself.
    pub(crate) async fn consider(&mut self, offer: Offer) {
        self.leaving.insert(offer.source, offer.draining());
        // An object without the file says nothing about the fleet: what it said holds.
        if let Some(file) = offer.files.get(FILE) {
            self.fleets.insert(offer.source, fleet(&self.name, file));
        }
        let Offer { source, files } = offer;
        // Large ones take a while, and BIRD has to be watched.
        let read = tokio::task::spawn_blocking(move || revision::decode(&files)).await;
        let Ok(read) = read else { return };
        if let Decision::Take(revision, identity) = self.choice.consider(source, read) {
            tracing::info!(revision = identity.sequence, hash = identity.hash, source = source.word(), "revision read");
            self.choice.activated(identity.clone());
            let Revision { domains, traceparent, .. } = revision;
            self.traceparent = traceparent;
            self.replace(&domains, Instant::now());
            self.revision = Some((identity, domains));
        }
    }

    /// Takes note of what `next` announces in another shape.
    fn replace(&mut self, next: &[Domain], now: Instant) {
        let drain = self.drain();
        let seconds = (drain.graceful_shutdown_seconds + drain.withdraw_seconds).try_into().unwrap_or(0);
        let until = now + Duration::from_secs(seconds) + LATE;
        let old = self.revision.iter().flat_map(|(_, domains)| domains).map(|domain| (&domain.config, domain));
        self.replaced.depart(old, next.iter().map(|domain| &domain.config), until, Attributes::of);
    }

    /// Forgets what has had its time: whether there was any.
    pub(crate) fn forget(&mut self, now: Instant) -> bool {
        self.replaced.forget(now)
    }

    /// Reads the passwords, a file for each key of the Secret.
    pub(crate) fn read_passwords(&mut self, folder: &Path) {
        match mounted::read(folder) {
            Ok(files) => self.passwords = files,
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "the passwords cannot be read"),
        }
    }

    /// Looks at the pod's network. Whether it is other than before.
    pub(crate) async fn look_at_pod(&mut self, host: &Host) -> bool {
        let before = (self.pod.clone(), self.trouble.clone());
        let found = self.try_look(host).await;
        self.trouble = found.err().map(|error| error.to_string());
        (&before.0, &before.1) != (&self.pod, &self.trouble)
    }

    async fn try_look(&mut self, host: &Host) -> Result<(), rtnetlink::Error> {
        self.pod.interfaces = host.interfaces().await?;
        let mut ways = BTreeMap::new();
        let far = |peer: &PeerConfig| peer.address.filter(|_| peer.multihop_ttl.is_some());
        let addresses: Vec<_> = self
            .fleet()
            .and_then(|it| it.config.bgp.as_ref())
            .iter()
            .flat_map(|bgp| bgp.peers.iter().filter_map(far))
            .collect();
        for address in addresses {
            if let Some(way) = host.way(address).await? {
                ways.insert(address, way);
            }
        }
        self.pod.ways = ways;
        Ok(())
    }

    /// What to do by all of this, once there is a fleet; and the families that have peers here.
    pub(crate) fn plan(&self, phase: Phase) -> Option<(Plan, BTreeSet<crate::plan::Family>)> {
        let Fleet { file, config } = self.fleet()?;
        let domains = self.revision.as_ref().map_or(&[][..], |(_, domains)| domains);
        let (peer_nodes, pod, passwords) = (&file.peer_nodes, &self.pod, &self.passwords);
        let replaced = &self.replaced.announced(Instant::now()).collect::<Vec<_>>();
        let input = Input { fleet: config, peer_nodes, domains, replaced, pod, passwords, phase };
        let mut plan = Plan::new(&input);
        plan.obstacles.extend(self.obstacles());
        Some((plan, Plan::families(&input)))
    }

    /// What is wrong with the inputs themselves.
    pub(crate) fn obstacles(&self) -> Vec<Obstacle> {
        let unread = self.newest().and_then(|fleet| fleet.as_ref().err());
        let unread = unread.map(|why| Obstacle::new("FleetRefused", format!("{why}; the fleet before stays")));
        let trouble = self.trouble.as_ref().map(|why| Obstacle::new("NetworkUnknown", why.clone()));
        unread.into_iter().chain(trouble).collect()
    }

    pub(crate) fn generation(&self) -> Option<i64> {
        self.fleet().map(|fleet| fleet.file.generation)
    }

    pub(crate) fn revision(&self) -> Option<Identity> {
        self.revision.as_ref().map(|(identity, _)| identity.clone())
    }

    /// The revision, if it is other than the one in use.
    pub(crate) fn news(&self, in_use: Option<&Identity>) -> Option<News> {
        let identity = self.revision().filter(|revision| in_use != Some(revision))?;
        Some(News { identity, traceparent: self.traceparent.clone(), is_first: in_use.is_none() })
    }

    pub(crate) fn refusal(&self, api_has_spoken: bool) -> Option<Refusal> {
        self.choice.refusal(api_has_spoken).cloned()
    }

    pub(crate) fn drain(&self) -> crds::border_relay::Drain {
        self.fleet().map(|fleet| fleet.config.drain.clone()).unwrap_or_default()
    }

    /// Whether the drain list names the pod.
    pub(crate) fn is_to_leave(&self, api_has_spoken: bool) -> bool {
        let source = if api_has_spoken { Source::Api } else { Source::Mounted };
        self.leaving.get(&source).is_some_and(|pods| pods.contains(&self.pod.name))
    }

    /// The newest one that can be read: the API server's, unless the mounted copy is ahead.
    fn fleet(&self) -> Option<&Fleet> {
        let sound = self.fleets.iter().filter_map(|(source, fleet)| Some((source, fleet.as_ref().ok()?)));
        sound.max_by_key(|(source, fleet)| (fleet.file.generation, std::cmp::Reverse(**source))).map(|(_, fleet)| fleet)
    }

    /// What the source that knows best has.
    fn newest(&self) -> Option<&Result<Fleet, String>> {
        self.fleets.first_key_value().map(|(_, fleet)| fleet)
    }
}

fn fleet(name: &FleetName, file: &[u8]) -> Result<Fleet, String> {
    let FleetName { namespace, name } = name.clone();
    let file = FleetFile::decode(file).map_err(|error| error.to_string())?;
    let config = file.config(&DomainName { namespace, name }).map_err(|error| error.to_string())?;
    Ok(Fleet { file, config })
}
