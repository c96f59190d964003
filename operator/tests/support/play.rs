//! A cluster as YAML documents in, objects and status out: the pure steps, one after the other.

use std::{collections::BTreeMap, sync::Arc};

use crds::{BorderRelay, MapDomain, revision};
use culvert_operator::{
    answer::Answer,
    domain::report::{View, status as domain_status},
    fleet::{
        build::{Collector, Settings, Wanted, build},
        found::{Current, Found, Held, RelayPod},
        network::Network,
        report::{self, Done, Outcome},
        validate::validate,
    },
    relay::State,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::{ResourceExt, core::DynamicObject};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What came out.
pub(crate) struct Played {
    pub(crate) objects: String,
    pub(crate) status: String,
}

/// Everything in a cluster, by kind.
struct Cluster(BTreeMap<String, Vec<Value>>);

pub(crate) fn play(input: &str) -> Played {
    let cluster = Cluster::read(input);
    let now: Timestamp = "2026-11-01T12:00:00Z".parse().expect("a time");
    let domains: Vec<Arc<MapDomain>> = cluster.shared("MapDomain");
    let fleets: Vec<BorderRelay> = cluster.all("BorderRelay");
    let (mut objects, mut statuses, mut outcomes) = (Vec::new(), Vec::new(), BTreeMap::new());
    for fleet in &fleets {
        let (made, outcome, held) = reconcile(fleet, &cluster, now);
        objects.extend(made);
        let status = report::status(fleet, &outcome, held.as_ref());
        statuses.push(json!({"kind": "BorderRelay", "name": fleet.name_any(), "status": status}));
        outcomes.insert(fleet.name_any(), Arc::new(outcome));
    }
    for domain in &domains {
        let view = |name: &str| match outcomes.get(name) {
            Some(outcome) => View::of(Arc::clone(outcome), domain),
            None => View::Missing,
        };
        let named: Vec<(String, View)> =
            domain.spec.relay_refs.iter().map(|fleet| (fleet.name.clone(), view(&fleet.name))).collect();
        let status = domain_status(domain, &named, now);
        statuses.push(json!({"kind": "MapDomain", "name": domain.name_any(), "status": status}));
    }
    Played { objects: yaml(&objects), status: yaml(&statuses) }
}

/// The pure steps. There was no revision before: the first has number 1.
fn reconcile(fleet: &BorderRelay, cluster: &Cluster, now: Timestamp) -> (Vec<Value>, Outcome, Option<Held>) {
    let found = cluster.found(fleet);
    let settings = Settings {
        relay_image: "culvert/relay:1".to_owned(),
        speaker_image: "culvert/speaker:1".to_owned(),
        priority_class: None,
        api_server_ports: vec![443, 6443],
        relay_clients: Vec::new(),
        collector: cluster.collector(),
    };
    let valid = match validate(fleet, &found) {
        Ok(valid) => valid,
        Err(problems) => return (Vec::new(), report::invalid(fleet, &problems, now), None),
    };
    let wanted = build(fleet, &valid, &found, &settings, None).expect("a revision");
    let found = with_hash(found, &wanted.held.hash);
    let done = Done { found: &found, valid: &valid, held: Some(&wanted.held), failures: Vec::new() };
    let outcome = report::outcome(fleet, &done, now);
    let held = wanted.held.clone();
    (objects(wanted), outcome, Some(held))
}

/// Relays that hold `HASH` hold the revision.
fn with_hash(mut found: Found, hash: &str) -> Found {
    for pod in &mut found.pods {
        if let Some(Answer::State(State { revision: Some(revision), .. })) = &mut pod.answer {
            revision.hash = revision.hash.replace("HASH", hash);
        }
    }
    found
}

fn objects(wanted: Wanted) -> Vec<Value> {
    let Wanted { service_account, role, role_binding, held: _, config_maps, disruption, network_policy, deployment } =
        wanted;
    let mut objects = vec![json!(service_account), json!(role), json!(role_binding)];
    objects.extend(config_maps.iter().map(readable));
    objects.extend([json!(disruption), json!(network_policy)]);
    objects.extend(deployment.map(|deployment| json!(deployment)));
    objects
}

/// A ConfigMap whose chunks are told by what is in them.
fn readable(config_map: &ConfigMap) -> Value {
    let mut value = json!(config_map);
    if let Ok(revision) = revision::decode(&revision::Object::files_of(config_map)) {
        let names: Vec<String> = revision.domains.iter().map(|domain| domain.config.name.to_string()).collect();
        value["binaryData"] = json!({"domains-0.gz": format!("<{}>", names.join(", "))});
    }
    value
}

impl Cluster {
    /// Of the operator's environment.
    fn collector(&self) -> Collector {
        let variables = self
            .0
            .get("Environment")
            .into_iter()
            .flatten()
            .flat_map(|it| it["variables"].as_object().expect("variables"));
        let variables = variables.map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()));
        Collector::new(&variables.collect()).expect("variables that mean something")
    }

    fn read(input: &str) -> Self {
        let mut kinds: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for document in serde_saphyr::from_multiple::<Value>(input).expect("YAML") {
            let kind = document["kind"].as_str().expect("a kind").to_owned();
            kinds.entry(kind).or_default().push(document);
        }
        Self(kinds)
    }

    fn all<T: DeserializeOwned>(&self, kind: &str) -> Vec<T> {
        let documents = self.0.get(kind).cloned().unwrap_or_default();
        documents.into_iter().map(|document| serde_json::from_value(document).expect("an object of its kind")).collect()
    }

    fn shared<T: DeserializeOwned>(&self, kind: &str) -> Vec<Arc<T>> {
        self.all(kind).into_iter().map(Arc::new).collect()
    }

    fn found(&self, fleet: &BorderRelay) -> Found {
        let (namespace, name) = (fleet.namespace().expect("a namespace"), fleet.name_any());
        let mut domains: Vec<Arc<MapDomain>> = self.shared("MapDomain");
        domains.retain(|domain| domain.spec.relay_refs.iter().any(|named| named.name == name));
        let mut namespaces: Vec<Namespace> = self.all("Namespace");
        namespaces.retain(|it| it.name_any() == namespace);
        let level = |it: &Namespace| it.labels().get("pod-security.kubernetes.io/enforce").cloned();
        let definitions: Vec<DynamicObject> = self.all("NetworkAttachmentDefinition");
        let key = |it: &DynamicObject| (it.namespace().expect("a namespace"), it.name_any());
        let mut networks: BTreeMap<_, _> = definitions.iter().map(|it| (key(it), Network::from(it))).collect();
        for interface in &fleet.spec.dataplane.interfaces {
            let key = match interface.network.split_once('/') {
                Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
                None => (namespace.clone(), interface.network.clone()),
            };
            networks.entry(key).or_insert(Network::Missing);
        }
        let answers: Vec<Value> = self.all("Answer");
        let pod = |pod: Arc<Pod>| {
            let said = answers.iter().find(|answer| answer["pod"] == pod.name_any()).unwrap_or(&Value::Null);
            let answer = answered(&said["state"], &said["silence"]);
            RelayPod { answer, speaker: answered(&said["speaker"], &said["speakerSilence"]), pod }
        };
        let pods: Vec<Arc<Pod>> = self.shared("Pod");
        Found {
            domains,
            networks,
            pod_security: namespaces.first().and_then(level),
            deployment: self.shared("Deployment").into_iter().next(),
            pods: pods.into_iter().map(pod).collect(),
            nodes: self.shared("Node"),
            unseen: Vec::new(),
            current: Current::default(),
        }
    }
}

/// What a container said, or why it did not; neither: it was not asked.
fn answered<S: DeserializeOwned>(state: &Value, silence: &Value) -> Option<Answer<S>> {
    match (silence.as_str(), state) {
        (Some(why), _) => Some(Answer::Silence(why.to_owned())),
        (None, Value::Null) => None,
        (None, state) => Some(Answer::State(serde_json::from_value(state.clone()).expect("a state"))),
    }
}

fn yaml(values: &[Value]) -> String {
    let documents: Vec<String> =
        values.iter().map(|value| serde_saphyr::to_string(value).expect("a value has a YAML form")).collect();
    documents.join("---\n")
}
