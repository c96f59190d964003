//! Every metric: its name, what it means, and where its numbers come from.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use engine::{Count, DomainCount, Kept};
use opentelemetry::{KeyValue, metrics::Meter};

use super::Sample;
use crate::{host::Refused, plan::Announcement, self_test::Way};

/// Takes one series: its value and its labels.
type Series<'s> = &'s mut dyn FnMut(u64, &[KeyValue]);

/// Where one metric's series come from.
type Read = fn(&Sample, Series<'_>);

type Shared = Arc<Mutex<Sample>>;

/// Registers all of them.
pub(super) fn register(meter: &Meter, sample: &Shared) {
    for (name, description, read) in COUNTERS {
        let sample = Arc::clone(sample);
        meter
            .u64_observable_counter(name)
            .with_description(description)
            .with_callback(move |observer| {
                let sample = sample.lock().unwrap_or_else(PoisonError::into_inner);
                read(&sample, &mut |value, labels| observer.observe(value, labels));
            })
            .build();
    }
    for (name, description, read) in GAUGES {
        let sample = Arc::clone(sample);
        meter
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer| {
                let sample = sample.lock().unwrap_or_else(PoisonError::into_inner);
                read(&sample, &mut |value, labels| observer.observe(value, labels));
            })
            .build();
    }
}

/// Their names end in `_total` once exported.
const COUNTERS: [(&str, &str, Read); 16] = [
    ("culvert_forwarded_packets", "Packets that crossed the relay", |s, add| forwarded(s, packets, add)),
    ("culvert_forwarded_bytes", "Bytes of packets that crossed the relay, as they came in", |s, add| {
        forwarded(s, bytes, add);
    }),
    ("culvert_dropped_packets", "Packets that went no further, by drop reason", |s, add| dropped(s, packets, add)),
    ("culvert_dropped_bytes", "Bytes of packets that went no further, by drop reason", |s, add| dropped(s, bytes, add)),
    ("culvert_icmp_sent", "ICMP messages that the relay sent of its own", |s, add| icmp(s, |d| &d.icmp_sent, add)),
    ("culvert_icmp_suppressed", "ICMP messages held back by a rate limit", icmp_suppressed),
    ("culvert_tun_received_packets", "Packets read from the TUN device", |s, add| by_queue(s, |w| w.received, add)),
    ("culvert_tun_sent_packets", "Packets written to the TUN device", |s, add| by_queue(s, |w| w.written, add)),
    ("culvert_tun_write_errors", "Packets that the kernel did not take back, and that are lost", write_errors),
    ("culvert_tun_dropped_packets", "Packets for the relay that the kernel dropped: its TUN queue was full", tun_drops),
    ("culvert_interface_dropped_packets", "Packets that the kernel dropped at other interfaces", interface_drops),
    ("culvert_refused_packets", "Packets that the kernel's routing refused in this network namespace", refused),
    ("culvert_worker_batches", "Batches of packets, by queue", |s, add| by_queue(s, |w| w.batches, add)),
    ("culvert_withdrawals", "How often the routes were withdrawn, by the first reason", withdrawals),
    ("culvert_config_reloads", "Changes of the manifests that were taken", |s, add| add(s.config.reloads, &[])),
    ("culvert_config_reload_failures", "Changes of the manifests that were refused", reload_failures),
];

const GAUGES: [(&str, &str, Read); 21] = [
    ("culvert_ready", "1 while a packet would be forwarded", |s, add| add(s.reasons.is_empty().into(), &[])),
    ("culvert_not_ready", "1 for each reason why the relay is not ready", not_ready),
    ("culvert_announcing", "1 while the routes are announced, with GRACEFUL_SHUTDOWN too", announcing),
    ("culvert_build_info", "Always 1; which build this is", build_info),
    ("culvert_config_info", "Always 1; which manifests are in use", config_info),
    ("culvert_config_last_reload_successful", "0 if the manifests on disk are not those in use", last_successful),
    ("culvert_config_activated_timestamp_seconds", "Since when the manifests are in use", activated),
    ("culvert_revision_info", "Always 1; which revision is in use, and where it came from", revision_info),
    ("culvert_revision_sequence", "The number of the revision in use", revision_sequence),
    ("culvert_revision_refused", "1 while a newer revision cannot be used, by reason", revision_refused),
    ("culvert_api_away_seconds", "For how long the API server has not answered; 0 while it does", api_away),
    ("culvert_next_hop_up", "1 while packets may leave by a next hop", next_hops),
    ("culvert_self_test_passed", "1 while a worker's packets of the self-test come back", self_test),
    ("culvert_obstacle", "1 for each thing that is missing, by reason", obstacles),
    ("culvert_draining", "1 while the pod is asked to leave", |s, add| add(s.draining.into(), &[])),
    ("culvert_domains", "MAP domains in use", |s, add| add(s.config.domains.len() as u64, &[])),
    ("culvert_rules", "Mapping rules in use", rules),
    ("culvert_routes", "Routes to the TUN device", |s, add| add(s.config.routes as u64, &[])),
    ("culvert_reassembly_datagrams", "Incomplete datagrams that wait for fragments", |s, add| {
        reassembly(s, |kept| kept.datagrams, add);
    }),
    ("culvert_reassembly_bytes", "Memory of fragments that wait for others", |s, add| {
        reassembly(s, |kept| kept.bytes, add);
    }),
    ("culvert_table_bytes", "Size of the lookup tables", |s, add| add(s.table_bytes as u64, &[])),
];

fn packets(count: &Count) -> u64 {
    count.packets
}

fn bytes(count: &Count) -> u64 {
    count.bytes
}

fn forwarded(sample: &Sample, value: fn(&Count) -> u64, add: Series<'_>) {
    for domain in &sample.domains {
        for (direction, count) in &domain.forwarded {
            add(value(count), &with(domain, [KeyValue::new("direction", direction.word())]));
        }
    }
}

fn dropped(sample: &Sample, value: fn(&Count) -> u64, add: Series<'_>) {
    for domain in &sample.domains {
        for (direction, reason, count) in &domain.dropped {
            let labels = [KeyValue::new("direction", direction.word()), KeyValue::new("reason", reason.word())];
            add(value(count), &with(domain, labels));
        }
    }
}

fn icmp_suppressed(sample: &Sample, add: Series<'_>) {
    icmp(sample, |domain| &domain.icmp_suppressed, add);
}

fn icmp(sample: &Sample, counts: fn(&DomainCount) -> &Vec<(engine::IcmpKind, u64)>, add: Series<'_>) {
    for domain in &sample.domains {
        for (kind, count) in counts(domain) {
            add(*count, &with(domain, [KeyValue::new("kind", kind.word())]));
        }
    }
}

/// Of every domain, 0 too: a gauge that vanishes looks like a relay that is gone.
fn reassembly(sample: &Sample, value: fn(&Kept) -> u64, add: Series<'_>) {
    for domain in sample.domains.iter().filter(|domain| !domain.name.name.is_empty()) {
        add(value(&domain.reassembly), &with(domain, []));
    }
}

fn with<const N: usize>(domain: &DomainCount, labels: [KeyValue; N]) -> Vec<KeyValue> {
    let namespace = KeyValue::new("namespace", domain.name.namespace.clone());
    let name = KeyValue::new("domain", domain.name.name.clone());
    [namespace, name].into_iter().chain(labels).collect()
}

fn by_queue(sample: &Sample, value: fn(&crate::workers::Reading) -> u64, add: Series<'_>) {
    for (queue, worker) in sample.workers.iter().enumerate() {
        add(value(worker), &[queue_label(queue)]);
    }
}

fn write_errors(sample: &Sample, add: Series<'_>) {
    for (queue, worker) in sample.workers.iter().enumerate() {
        for (error, count) in &worker.write_errors {
            add(*count, &[queue_label(queue), KeyValue::new("error", error.word())]);
        }
    }
}

fn queue_label(queue: usize) -> KeyValue {
    KeyValue::new("queue", queue.to_string())
}

fn tun_drops(sample: &Sample, add: Series<'_>) {
    if let Some(link) = sample.links.iter().find(|link| link.interface == sample.tun && link.transmitted > 0) {
        add(link.transmitted, &[]);
    }
}

fn interface_drops(sample: &Sample, add: Series<'_>) {
    for link in sample.links.iter().filter(|link| link.interface != sample.tun) {
        for (direction, count) in [("receive", link.received), ("transmit", link.transmitted)] {
            if count > 0 {
                let interface = KeyValue::new("interface", link.interface.clone());
                add(count, &[interface, KeyValue::new("direction", direction)]);
            }
        }
    }
}

fn reload_failures(sample: &Sample, add: Series<'_>) {
    add(sample.config.failures, &[]);
}

fn last_successful(sample: &Sample, add: Series<'_>) {
    add(sample.config.error.is_none().into(), &[]);
}

fn activated(sample: &Sample, add: Series<'_>) {
    if let Some(since) = sample.config.since {
        add(since.as_second().unsigned_abs(), &[]);
    }
}

fn rules(sample: &Sample, add: Series<'_>) {
    add(sample.config.rules() as u64, &[]);
}

fn config_info(sample: &Sample, add: Series<'_>) {
    add(1, &[KeyValue::new("hash", sample.config.hash.clone())]);
}

fn revision_info(sample: &Sample, add: Series<'_>) {
    let (Some(sequence), Some(source)) = (sample.config.sequence, sample.config.source) else { return };
    // As the operator's metrics name a fleet.
    let (namespace, fleet) = sample.fleet.as_deref().and_then(|fleet| fleet.split_once('/')).unwrap_or_default();
    let labels = [
        ("namespace", namespace.to_owned()),
        ("fleet", fleet.to_owned()),
        ("hash", sample.config.hash.clone()),
        ("sequence", sequence.to_string()),
        ("source", source.word().to_owned()),
    ];
    add(1, &labels.map(|(key, value)| KeyValue::new(key, value)));
}

fn revision_sequence(sample: &Sample, add: Series<'_>) {
    if let Some(sequence) = sample.config.sequence {
        add(sequence, &[]);
    }
}

fn revision_refused(sample: &Sample, add: Series<'_>) {
    if let Some(reason) = sample.refused_revision {
        add(1, &[KeyValue::new("reason", reason)]);
    }
}

fn api_away(sample: &Sample, add: Series<'_>) {
    if let Some(seconds) = sample.api_away {
        add(seconds, &[]);
    }
}

fn not_ready(sample: &Sample, add: Series<'_>) {
    for reason in &sample.reasons {
        add(1, &[KeyValue::new("reason", *reason)]);
    }
}

fn announcing(sample: &Sample, add: Series<'_>) {
    add((sample.announcement != Announcement::Local).into(), &[]);
}

fn withdrawals(sample: &Sample, add: Series<'_>) {
    for (reason, count) in &sample.withdrawals {
        add(*count, &[KeyValue::new("reason", *reason)]);
    }
}

fn next_hops(sample: &Sample, add: Series<'_>) {
    for hop in &sample.hops {
        let interface = KeyValue::new("interface", hop.interface.clone());
        add(hop.alive.into(), &[interface, KeyValue::new("address", hop.address.to_string())]);
    }
}

fn self_test(sample: &Sample, add: Series<'_>) {
    let Some(test) = &sample.self_test else { return };
    let now = Instant::now();
    for way in Way::ALL {
        for queue in 0..test.workers() {
            let labels = [KeyValue::new("direction", way.word()), queue_label(queue)];
            add(test.worker_passes(way, queue, now).into(), &labels);
        }
    }
}

fn obstacles(sample: &Sample, add: Series<'_>) {
    for reason in &sample.obstacles {
        add(1, &[KeyValue::new("reason", *reason)]);
    }
}

/// Of every relay, 0 too, so that a rate can be told.
fn refused(sample: &Sample, add: Series<'_>) {
    let Refused { no_route_ipv4, no_route_ipv6, reverse_path } = sample.refused;
    for (count, family, reason) in
        [(no_route_ipv4, "IPv4", "NoRoute"), (no_route_ipv6, "IPv6", "NoRoute"), (reverse_path, "IPv4", "ReversePath")]
    {
        add(count, &[KeyValue::new("family", family), KeyValue::new("reason", reason)]);
    }
}

fn build_info(_: &Sample, add: Series<'_>) {
    add(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]);
}
