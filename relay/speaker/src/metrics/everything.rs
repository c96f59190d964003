//! Every metric of a speaker, as a file: dashboards, alerts and the reference of metrics are checked against it.

use std::{fs, path::Path};

use jiff::Timestamp;
use pod::FleetName;

use super::render;
use crate::shared::{Announced, Bird, Count, Counts, SessionState, Shared, Status};

const REGENERATE: &str = "CULVERT_BLESS=1 cargo test -p culvert-speaker everything";

#[test]
fn the_committed_file_has_everything() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/monitoring/metrics/speaker.prom");
    let fleet = FleetName { namespace: "isp".to_owned(), name: "default".to_owned() };
    let shared = Shared::new(fleet, "default-relay-1".to_owned(), "node1".to_owned());
    shared.update(|status| *status = everything());
    let text = render(&shared).unwrap();
    if std::env::var_os("CULVERT_BLESS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), text, "make it anew: {REGENERATE}");
}

fn everything() -> Status {
    let one = Count { ipv4: 1, ipv6: 1 };
    let session = SessionState {
        peer: "tor1".to_owned(),
        address: Some([192, 0, 2, 1].into()),
        port: 179,
        interface: "net1".to_owned(),
        local: [192, 0, 2, 10].into(),
        asn: 64512,
        state: "Established".to_owned(),
        since: Timestamp::UNIX_EPOCH,
        bfd: Some("Up".to_owned()),
        up: true,
        last_error: None,
        families: crate::plan::Family::ALL.into(),
        announced: one,
    };
    Status {
        fleet_generation: Some(1),
        revision: Some(pod::choice::Identity { sequence: 1, hash: "0123".to_owned() }),
        obstacles: vec![pod::Obstacle::new("PasswordMissing", "")],
        bird: Bird { version: "2.0.12".to_owned(), running: true, since: None },
        sessions: vec![session],
        announced: Announced { ipv4: vec!["192.0.2.0/24".to_owned()], ipv6: vec!["2001:db8::1/128".to_owned()] },
        wanted: one,
        counts: Counts { configured: 1, refused: 1, starts: 1 },
        ..Status::default()
    }
}
