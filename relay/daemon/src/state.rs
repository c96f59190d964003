//! `/state`: everything there is to know, as JSON.

use std::{collections::BTreeMap, time::Instant};

use engine::{Count, DomainCount};
use serde::Serialize;

use crate::{
    host::{HopView, LinkDrops},
    revision::{api::Away, history::Activation},
    self_test::Way,
    shared::{Config, ConfigError, Device, DomainSummary, Identity, SelfTest, Shared, Status},
    workers::Reading,
};

/// The document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    version: &'static str,
    /// The number of the last change of anything but counters.
    state_sequence: u64,
    started: String,
    fleet: Option<String>,
    pod: Option<String>,
    node: Option<String>,
    ready: bool,
    /// Why it is not ready, a word each.
    ready_reasons: Vec<&'static str>,
    revision: Option<RevisionState>,
    /// Why the newest revision is not in use.
    revision_error: Option<ReasonState>,
    /// Since when the API server does not answer, and what is wrong.
    api_away: Option<AwayState>,
    /// What is missing, and what to do about it.
    obstacles: Vec<ReasonState>,
    draining: bool,
    /// How the routes are announced: `Full`, `Leaving` (with GRACEFUL_SHUTDOWN), `Local` (not at all).
    announcement: &'static str,
    /// Something that was removed is still forwarded.
    leaving: bool,
    next_hops: Vec<NextHopState>,
    self_test: Option<Vec<SelfTestState>>,
    history: Vec<Activation>,
    config: ConfigState,
    device: Option<DeviceState>,
    workers: Vec<WorkerState>,
    domains: Vec<DomainState>,
    /// Packets that belong to no domain.
    unattributed: Counts,
    /// What the kernel dropped at interfaces, without the relay seeing it.
    kernel_drops: Vec<LinkDropsState>,
    /// Packets, by all domains together.
    dropped_last_minute: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RevisionState {
    /// Manifests have none.
    sequence: Option<u64>,
    hash: String,
    format_version: u32,
    domains: usize,
    rules: usize,
    since: Option<String>,
    source: &'static str,
}

#[derive(Serialize)]
struct ReasonState {
    reason: &'static str,
    message: String,
}

#[derive(Serialize)]
struct AwayState {
    since: String,
    message: String,
}

#[derive(Serialize)]
struct NextHopState {
    interface: String,
    address: String,
    family: &'static str,
    /// The BGP peer that it is, and how that stands.
    peer: Option<String>,
    session: Option<String>,
    up: bool,
}

/// What a worker last passed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SelfTestState {
    queue: usize,
    to_ce: bool,
    from_ce: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigState {
    paths: Vec<String>,
    hash: String,
    since: Option<String>,
    domains: usize,
    rules: usize,
    routes: usize,
    table_bytes: usize,
    reloads: u64,
    reload_failures: u64,
    last_error: Option<ConfigErrorState>,
}

#[derive(Serialize)]
struct ConfigErrorState {
    at: String,
    errors: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceState {
    name: String,
    index: u32,
    queues: usize,
    queue_length: u32,
    rp_filter: u32,
    ipv4_source: String,
    route_table: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkerState {
    queue: usize,
    waiting: bool,
    hung: bool,
    batches: u64,
    received: u64,
    written: u64,
    write_errors: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DomainState {
    namespace: String,
    name: String,
    softwire_address: String,
    ipv4_prefixes: Vec<String>,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Counts {
    forwarded: BTreeMap<&'static str, CountState>,
    dropped: BTreeMap<&'static str, BTreeMap<&'static str, CountState>>,
    icmp_sent: BTreeMap<&'static str, u64>,
    icmp_suppressed: BTreeMap<&'static str, u64>,
    reassembly: ReassemblyState,
}

/// Incomplete datagrams.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct ReassemblyState {
    datagrams: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct CountState {
    packets: u64,
    bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkDropsState {
    interface: String,
    received: u64,
    transmitted: u64,
}

impl State {
    /// How things are now; `links` were read just before.
    pub(crate) fn read(shared: &Shared, links: Vec<LinkDrops>) -> Self {
        // Before the status: a change in between is told again rather than never.
        let state_sequence = *shared.board.changes().borrow();
        let (status, ready_reasons) = shared.look();
        let counts = shared.counts();
        let workers = shared.workers();
        let Identity { fleet, pod, node } = shared.identity.clone();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            state_sequence,
            started: shared.started.to_string(),
            fleet,
            pod,
            node,
            ready: ready_reasons.is_empty(),
            ready_reasons,
            revision: RevisionState::new(&status.config),
            revision_error: status.refusal.as_ref().map(|it| ReasonState::new(it.reason, &it.message)),
            api_away: shared.contact.away().map(AwayState::from),
            obstacles: status.obstacles.iter().map(|it| ReasonState::new(it.reason, &it.message)).collect(),
            draining: status.readiness.draining,
            announcement: status.announcement.word(),
            leaving: status.leaving,
            next_hops: status.hops.iter().map(NextHopState::from).collect(),
            self_test: status.readiness.self_test.as_ref().map(SelfTestState::of),
            history: status.history.iter().cloned().collect(),
            config: ConfigState::new(&status.config, shared.snapshot.load().tables().bytes()),
            device: status.device.as_ref().map(|device| DeviceState::new(device, workers.len())),
            workers: workers
                .iter()
                .enumerate()
                .map(|(queue, reading)| WorkerState::new(queue, reading, &status))
                .collect(),
            domains: status.config.domains.iter().map(|domain| DomainState::new(domain, &counts)).collect(),
            unattributed: counts.first().map(Counts::from).unwrap_or_default(),
            kernel_drops: links.into_iter().map(LinkDropsState::from).collect(),
            dropped_last_minute: shared.dropped_lately(&counts),
        }
    }
}

impl RevisionState {
    fn new(config: &Config) -> Option<Self> {
        Some(Self {
            sequence: config.sequence,
            hash: config.hash.clone(),
            format_version: config.format_version,
            domains: config.domains.len(),
            rules: config.rules(),
            since: config.since.map(|since| since.to_string()),
            source: config.source?.word(),
        })
    }
}

impl ReasonState {
    fn new(reason: &'static str, message: &str) -> Self {
        Self { reason, message: message.to_owned() }
    }
}

impl From<Away> for AwayState {
    fn from(Away { since, why }: Away) -> Self {
        Self { since: since.to_string(), message: why }
    }
}

impl From<&HopView> for NextHopState {
    fn from(hop: &HopView) -> Self {
        let HopView { interface, address, family, peer, index: _, alive } = hop;
        let (peer, session) = peer.clone().unzip();
        let (interface, address) = (interface.clone(), address.to_string());
        Self { interface, address, family: family.word(), peer, session, up: *alive }
    }
}

impl SelfTestState {
    fn of(test: &SelfTest) -> Vec<Self> {
        let now = Instant::now();
        let passes = |way, queue| test.worker_passes(way, queue, now);
        let state = |queue| Self { queue, to_ce: passes(Way::ToCe, queue), from_ce: passes(Way::FromCe, queue) };
        (0..test.workers()).map(state).collect()
    }
}

impl ConfigState {
    fn new(config: &Config, table_bytes: usize) -> Self {
        Self {
            paths: config.paths.iter().map(|path| path.display().to_string()).collect(),
            hash: config.hash.clone(),
            since: config.since.map(|since| since.to_string()),
            domains: config.domains.len(),
            rules: config.rules(),
            routes: config.routes,
            table_bytes,
            reloads: config.reloads,
            reload_failures: config.failures,
            last_error: config.error.clone().map(ConfigErrorState::from),
        }
    }
}

impl From<ConfigError> for ConfigErrorState {
    fn from(ConfigError { at, errors }: ConfigError) -> Self {
        Self { at: at.to_string(), errors }
    }
}

impl DeviceState {
    fn new(device: &Device, queues: usize) -> Self {
        Self {
            name: device.tun.name.clone(),
            index: device.tun.index,
            queues,
            queue_length: device.queue_length,
            rp_filter: device.tun.rp_filter,
            ipv4_source: device.ipv4_source.to_string(),
            route_table: device.table.to_string(),
        }
    }
}

impl WorkerState {
    fn new(queue: usize, reading: &Reading, status: &Status) -> Self {
        Self {
            queue,
            waiting: reading.waiting,
            hung: status.hung.contains(&queue),
            batches: reading.batches,
            received: reading.received,
            written: reading.written,
            write_errors: reading.write_errors.iter().map(|(error, count)| (error.word(), *count)).collect(),
        }
    }
}

impl DomainState {
    fn new(domain: &DomainSummary, counts: &[DomainCount]) -> Self {
        let counts = counts.iter().find(|count| count.name == domain.name);
        Self {
            namespace: domain.name.namespace.clone(),
            name: domain.name.name.clone(),
            softwire_address: domain.softwire_address.to_string(),
            ipv4_prefixes: domain.ipv4_prefixes.iter().map(ToString::to_string).collect(),
            counts: counts.map(Counts::from).unwrap_or_default(),
        }
    }
}

impl From<&DomainCount> for Counts {
    fn from(counts: &DomainCount) -> Self {
        let mut dropped: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (direction, reason, count) in &counts.dropped {
            dropped.entry(direction.word()).or_default().insert(reason.word(), CountState::from(*count));
        }
        Self {
            forwarded: counts.forwarded.iter().map(|(direction, count)| (direction.word(), (*count).into())).collect(),
            dropped,
            icmp_sent: counts.icmp_sent.iter().map(|(kind, count)| (kind.word(), *count)).collect(),
            icmp_suppressed: counts.icmp_suppressed.iter().map(|(kind, count)| (kind.word(), *count)).collect(),
            reassembly: ReassemblyState { datagrams: counts.reassembly.datagrams, bytes: counts.reassembly.bytes },
        }
    }
}

impl From<Count> for CountState {
    fn from(Count { packets, bytes }: Count) -> Self {
        Self { packets, bytes }
    }
}

impl From<LinkDrops> for LinkDropsState {
    fn from(LinkDrops { interface, received, transmitted, .. }: LinkDrops) -> Self {
        Self { interface, received, transmitted }
    }
}
