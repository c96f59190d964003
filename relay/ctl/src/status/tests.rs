use super::*;

const FLEET: &str = include_str!("tests/fleet.json");
const DOMAINS: &str = include_str!("tests/domains.json");

fn status(change: impl FnOnce(&mut crds::BorderRelay, &mut Vec<crds::MapDomain>)) -> Status {
    let mut fleet = serde_json::from_str(FLEET).unwrap();
    let mut domains = serde_json::from_str(DOMAINS).unwrap();
    change(&mut fleet, &mut domains);
    Status::new(&[fleet], &domains)
}

fn printed(status: &Status) -> String {
    let mut out = Vec::new();
    status.print(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_fleet_with_troubles() {
    let status = status(|_, _| {});
    assert!(!status.is_well());
    assert_eq!(printed(&status), include_str!("tests/status.txt"));
}

/// One relay leaves, which is as it should be.
#[test]
fn a_fleet_that_is_well() {
    let status = status(|fleet, domains| {
        domains.truncate(1);
        let fleet = fleet.status.as_mut().unwrap();
        fleet.conditions.retain(|condition| condition.status == "True" && condition.type_ != "Degraded");
        fleet.relays.retain(|relay| relay.reason.is_none());
    });
    assert!(status.is_well(), "{}", printed(&status));
}

#[test]
fn what_the_operator_has_not_seen_is_not_well() {
    let status = status(|fleet, domains| {
        domains.clear();
        fleet.metadata.generation = Some(99);
    });
    assert!(!status.is_well());
    assert!(printed(&status).contains("Accepted=Unknown NotSeen: the operator has not looked"), "{}", printed(&status));
}

#[test]
fn who_announces_nothing_on_purpose_is_well() {
    let status = status(|fleet, domains| {
        domains.clear();
        let fleet = fleet.status.as_mut().unwrap();
        fleet.conditions.retain(|condition| condition.type_ == "Advertised");
        fleet.relays.clear();
        (fleet.conditions[0].status, fleet.conditions[0].reason) = ("False".into(), "NotConfigured".into());
    });
    assert!(status.is_well(), "{}", printed(&status));
}
