//! Fleets and their domains in numbers, read from what became of each fleet.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crds::border_relay::RelayState;
use mape::DomainName;
use opentelemetry::{
    KeyValue,
    metrics::{Meter, ObservableGauge},
};

use crate::fleet::report::{Judged, Outcome, Relays, Standing};

/// By namespace and name.
pub(super) type Fleets = Arc<Mutex<BTreeMap<(String, String), Fleet>>>;

/// A fleet as it was looked at last.
#[derive(Default)]
pub(super) struct Fleet {
    last: Option<Arc<Outcome>>,
    /// The last time that it made sense: its relays go on with that.
    sound: Option<(Arc<Outcome>, u64)>,
}

/// Takes one series: its value, and its labels besides the fleet's.
type Series<'s> = &'s mut dyn FnMut(u64, &[(&'static str, &str)]);

/// Where one metric's series come from.
type Read = fn(&Fleet, Series<'_>);

const GAUGES: [(&str, &str, Read); 6] = [
    ("culvert_fleet_condition", "1 while a condition of a fleet is true, 0 while it is false or unknown", conditions),
    (
        "culvert_fleet_relays",
        "Relays of a fleet, by state; `wanted` are those that should be there and not draining",
        relays,
    ),
    ("culvert_fleet_domains", "Domains that name a fleet, by whether it serves them", domains),
    ("culvert_fleet_revision", "The number of a fleet's current revision", |fleet, add| {
        if let Some((_, revision)) = fleet.sound {
            add(revision, &[]);
        }
    }),
    (
        "culvert_domain_relays",
        "Relays of a fleet that serves a domain, by how far they are with the domain as it is; `ready` are those that \
         carry its traffic, `advertised` those that routers have been told of",
        domain_relays,
    ),
    ("culvert_domain_refused", "1 while a fleet that a domain names does not serve it, by reason", refused),
];

impl Fleet {
    pub(super) fn take(&mut self, outcome: &Arc<Outcome>, revision: Option<u64>) {
        if let (Standing::Judged(_), Some(revision)) = (&outcome.standing, revision) {
            self.sound = Some((Arc::clone(outcome), revision));
        }
        self.last = Some(Arc::clone(outcome));
    }

    fn sound(&self) -> Option<(&Relays, &Judged)> {
        let (outcome, _) = self.sound.as_ref()?;
        match &outcome.standing {
            Standing::Judged(judged) => Some((&outcome.relays, judged)),
            Standing::None(_) => None,
        }
    }
}

pub(super) fn gauges<'m>(meter: &'m Meter, fleets: &'m Fleets) -> impl Iterator<Item = ObservableGauge<u64>> + 'm {
    GAUGES.into_iter().map(move |(name, description, read)| {
        let fleets = Arc::clone(fleets);
        let observe = move |gauge: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
            for ((namespace, name), fleet) in &*fleets.lock().unwrap_or_else(PoisonError::into_inner) {
                read(fleet, &mut |value, labels| {
                    let own = [("namespace", &**namespace), ("fleet", &**name)];
                    let labels = own.iter().chain(labels).map(|(key, value)| KeyValue::new(*key, (*value).to_owned()));
                    gauge.observe(value, &labels.collect::<Vec<_>>());
                });
            }
        };
        meter.u64_observable_gauge(name).with_description(description).with_callback(observe).build()
    })
}

fn conditions(fleet: &Fleet, add: Series<'_>) {
    for condition in fleet.last.iter().flat_map(|outcome| &outcome.conditions) {
        add((condition.status == "True").into(), &[("condition", &condition.type_)]);
    }
}

fn relays(fleet: &Fleet, add: Series<'_>) {
    let Some((relays, _)) = fleet.sound() else { return };
    let draining = relays.all.iter().filter(|relay| relay.state == RelayState::Draining).count();
    for (state, count) in [
        ("wanted", relays.total),
        ("ready", relays.ready()),
        ("programmed", relays.programmed()),
        ("advertised", relays.advertised()),
        ("draining", draining),
    ] {
        add(count as u64, &[("state", state)]);
    }
}

fn domains(fleet: &Fleet, add: Series<'_>) {
    let Some((_, judged)) = fleet.sound() else { return };
    add(judged.since.len() as u64, &[("state", "served")]);
    add(judged.refused.len() as u64, &[("state", "refused")]);
}

fn domain_relays(fleet: &Fleet, add: Series<'_>) {
    let Some((relays, judged)) = fleet.sound() else { return };
    for (DomainName { name, .. }, since) in &judged.since {
        for (state, count) in [
            ("wanted", relays.total),
            ("programmed", relays.holding(*since)),
            ("ready", relays.carrying(*since)),
            ("advertised", relays.announcing(*since)),
        ] {
            add(count as u64, &[("domain", name), ("state", state)]);
        }
    }
}

fn refused(fleet: &Fleet, add: Series<'_>) {
    let Some((_, judged)) = fleet.sound() else { return };
    for (DomainName { name, .. }, refusal) in &judged.refused {
        add(1, &[("domain", name), ("reason", refusal.reason())]);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    use super::*;
    use crate::{
        condition::Cause,
        fleet::{report::Relay, validate::Refusal},
        relay::Revision,
    };

    /// Of three relays one is ready and announces, one is ready with what was before, and one is draining.
    pub(in crate::metrics) fn outcome() -> Outcome {
        let relay = |pod: &str, state, sequence, announces| Relay {
            pod: pod.to_owned(),
            node: None,
            revision: Some(Revision { sequence, hash: "new".to_owned() }),
            state,
            sessions: Vec::new(),
            announces,
            dropped: 0,
            trouble: None,
            has_ended: false,
        };
        let all = vec![
            relay("a", RelayState::Ready, 7, true),
            relay("b", RelayState::Ready, 6, false),
            relay("c", RelayState::Draining, 7, true),
        ];
        let relays = Relays { all, total: 2, pods: 3, current: Some(Revision { sequence: 7, hash: "new".to_owned() }) };
        let name = |name: &str| DomainName { namespace: "isp".to_owned(), name: name.to_owned() };
        let refusals: [fn(Vec<mape::Problem>) -> Refusal; 4] =
            [Refusal::Invalid, Refusal::NotAllowed, Refusal::Conflicted, Refusal::FleetFull];
        let refused = refusals.iter().map(|refusal| refusal(Vec::new()));
        let judged = Judged {
            since: [(name("isp-a"), 3), (name("isp-b"), 7)].into(),
            refused: refused.map(|refusal| (name(refusal.reason()), refusal)).collect(),
            ..Judged::default()
        };
        let conditions = ["Accepted", "Programmed", "Advertised", "Ready", "Degraded"].map(|about| Condition {
            type_: about.to_owned(),
            status: if about == "Programmed" { "False" } else { "True" }.to_owned(),
            reason: String::new(),
            message: String::new(),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            observed_generation: None,
        });
        Outcome { standing: Standing::Judged(judged), relays, hurdle: None, conditions: conditions.into() }
    }

    fn read(fleet: &Fleet, metric: &str) -> Vec<String> {
        let (_, _, read) = GAUGES.into_iter().find(|(name, ..)| *name == metric).unwrap();
        let mut found = Vec::new();
        read(fleet, &mut |value, labels| {
            let words: Vec<&str> = labels.iter().map(|(_, value)| *value).collect();
            found.push(format!("{} {value}", words.join(" ")));
        });
        found
    }

    #[test]
    fn a_domain_counts_the_relays_that_have_it_as_it_is() {
        let mut fleet = Fleet::default();
        fleet.take(&Arc::new(outcome()), Some(7));
        assert_eq!(
            read(&fleet, "culvert_domain_relays"),
            [
                "isp-a wanted 2",
                "isp-a programmed 2",
                "isp-a ready 2",
                "isp-a advertised 1",
                "isp-b wanted 2",
                "isp-b programmed 1",
                "isp-b ready 1",
                "isp-b advertised 1",
            ]
        );
    }

    #[test]
    fn a_fleet_that_no_longer_makes_sense_keeps_its_numbers_and_says_so() {
        let mut fleet = Fleet::default();
        fleet.take(&Arc::new(outcome()), Some(7));
        let mut wrong = outcome();
        wrong.standing = Standing::None(Cause::new("FleetInvalid", ""));
        wrong.relays = Relays::default();
        wrong.conditions.retain(|condition| condition.type_ == "Programmed");
        fleet.take(&Arc::new(wrong), None);
        assert_eq!(read(&fleet, "culvert_fleet_condition"), ["Programmed 0"]);
        assert_eq!(read(&fleet, "culvert_fleet_relays")[0], "wanted 2");
        assert_eq!(read(&fleet, "culvert_fleet_revision"), [" 7"]);
    }
}
