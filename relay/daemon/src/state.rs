//! `/state`: everything there is to know, as JSON.

use std::collections::BTreeMap;

use engine::{Count, DomainCount};
use serde::Serialize;

use crate::{
    host::LinkDrops,
    shared::{Config, ConfigError, Device, DomainSummary, Shared, Status},
    workers::Reading,
};

/// The document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    version: &'static str,
    started: String,
    ready: bool,
    config: ConfigState,
    device: Option<DeviceState>,
    workers: Vec<WorkerState>,
    domains: Vec<DomainState>,
    /// Packets that belong to no domain.
    unattributed: Counts,
    /// What the kernel dropped at interfaces, without the relay seeing it.
    kernel_drops: Vec<LinkDropsState>,
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
        let status = shared.status().clone();
        let counts = shared.memory.read();
        let workers = shared.workers();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started: shared.started.to_string(),
            ready: shared.is_ready(),
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
        }
    }
}

impl ConfigState {
    fn new(config: &Config, table_bytes: usize) -> Self {
        Self {
            paths: config.paths.iter().map(|path| path.display().to_string()).collect(),
            hash: config.hash.clone(),
            since: config.since.map(|since| since.to_string()),
            domains: config.domains.len(),
            rules: config.domains.iter().map(|domain| domain.ipv4_prefixes.len()).sum(),
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
