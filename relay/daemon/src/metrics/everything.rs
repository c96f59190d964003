//! Every metric of a relay, with every label value that its code knows, as a file: dashboards, alerts and the reference of
//! metrics are checked against it.

use std::{fs, path::Path, time::Instant};

use engine::{Count, Direction, DomainCount, DropReason, IcmpKind, Kept};
use jiff::Timestamp;
use mape::DomainName;
use pod::Source;

use super::{Metrics, Sample};
use crate::{
    cli::Family,
    host::{HopView, LinkDrops},
    plan::Announcement,
    shared::{Config, Readiness, SelfTest},
    workers::{Reading, WriteError},
};

const REGENERATE: &str = "CULVERT_BLESS=1 cargo test -p culvert-relay everything";

#[test]
fn the_committed_file_has_everything() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring/metrics/relay.prom");
    let text = Metrics::new().unwrap().render(everything()).unwrap();
    if std::env::var_os("CULVERT_BLESS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), text, "make it anew: {REGENERATE}");
}

fn everything() -> Sample {
    let reasons = unready().reasons(Instant::now());
    Sample {
        withdrawals: reasons.iter().map(|reason| (*reason, 1)).collect(),
        reasons,
        announcement: Announcement::Full,
        fleet: Some("isp/default".to_owned()),
        domains: vec![domain()],
        workers: vec![worker()],
        links: vec![drops("culvert0"), drops("net1")],
        tun: "culvert0".to_owned(),
        config: config(),
        table_bytes: 1,
        hops: vec![hop()],
        self_test: Some(SelfTest::new(1)),
        draining: true,
        api_away: Some(0),
        refused_revision: Some("NewerFormat"),
        obstacles: vec!["NextHopDown"],
        ..Sample::default()
    }
}

/// For every reason that there is.
fn unready() -> Readiness {
    let families = vec![Family::Ipv4, Family::Ipv6];
    let self_test = Some(SelfTest::new(1));
    Readiness {
        ending: true,
        draining: true,
        silent: true,
        down: families.clone(),
        stuck: families,
        self_test,
        ..Readiness::default()
    }
}

fn domain() -> DomainCount {
    let count = Count { packets: 1, bytes: 1 };
    let ways = [Direction::FromCe, Direction::ToCe];
    let kinds = || [IcmpKind::Error, IcmpKind::EchoReply, IcmpKind::RelayedError].map(|kind| (kind, 1)).to_vec();
    DomainCount {
        name: DomainName { namespace: "isp".to_owned(), name: "isp-a".to_owned() },
        forwarded: ways.map(|way| (way, count)).to_vec(),
        dropped: ways.iter().flat_map(|way| DropReason::ALL.map(|reason| (*way, reason, count))).collect(),
        icmp_sent: kinds(),
        icmp_suppressed: kinds(),
        reassembly: Kept { datagrams: 1, bytes: 1 },
    }
}

fn worker() -> Reading {
    let write_errors = WriteError::ALL.map(|error| (error, 1)).to_vec();
    Reading { batches: 1, received: 1, written: 1, write_errors, ..Reading::default() }
}

fn drops(interface: &str) -> LinkDrops {
    LinkDrops { interface: interface.to_owned(), received: 1, transmitted: 1, ..LinkDrops::default() }
}

fn config() -> Config {
    Config {
        sequence: Some(1),
        source: Some(Source::Api),
        hash: "0123".to_owned(),
        since: Some(Timestamp::UNIX_EPOCH),
        ..Config::default()
    }
}

fn hop() -> HopView {
    HopView {
        interface: "net1".to_owned(),
        address: [192, 0, 2, 1].into(),
        family: Family::Ipv4,
        peer: None,
        index: None,
        alive: true,
    }
}
