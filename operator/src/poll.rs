//! Asks every relay, and the speaker beside it, for their states, all the time: each question waits until there is something
//! new.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crds::BorderRelay;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use crate::{
    answer::{Answer, Told},
    error::root,
    fleet::found::has_speaker,
    keyed::Keyed,
    names, relay, speaker,
    triggers::Triggers,
};

/// As long as an answer may take: it comes after 30 s if there is nothing new.
const PATIENCE: Duration = Duration::from_secs(40);

/// As long as a connection may take.
const CONNECT: Duration = Duration::from_secs(3);

/// How long a connection stays that nobody uses: longer than a relay that has just answered waits for its next question.
const IDLE: Duration = Duration::from_secs(15);

/// How soon who did not answer is asked again, at first and at last.
const AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// As many bytes as an answer may have.
const LONGEST: usize = 4 << 20;

type Last<S> = Arc<Keyed<ObjectRef<Pod>, Answer<S>>>;

/// What relays and speakers said last.
#[derive(Debug, Default, Clone)]
pub struct Answers {
    relays: Last<relay::State>,
    speakers: Last<speaker::State>,
}

impl Answers {
    /// What the relay in this pod said last.
    #[must_use]
    pub fn relay(&self, pod: &Pod) -> Option<Answer<relay::State>> {
        self.relays.get(&ObjectRef::from_obj(pod), pod.uid().as_deref())
    }

    /// What the speaker in this pod said last, if there is one.
    #[must_use]
    pub fn speaker(&self, pod: &Pod) -> Option<Answer<speaker::State>> {
        self.speakers.get(&ObjectRef::from_obj(pod), pod.uid().as_deref())
    }

    fn forget(&self, pod: &ObjectRef<Pod>) {
        self.relays.retain(|other| other != pod);
        self.speakers.retain(|other| other != pod);
    }
}

/// Asks the relays and speakers in these pods for ever, and calls their fleets when there is something new.
pub async fn poll(
    pods: Store<Pod>,
    mut changed: UnboundedReceiver<ObjectRef<Pod>>,
    answers: Answers,
    triggers: Triggers,
) {
    let http = http();
    let mut asked: HashMap<ObjectRef<Pod>, (Relay, Vec<AbortHandle>)> = HashMap::new();
    let mut tasks = JoinSet::new();
    while let Some(key) = changed.recv().await {
        let relay = pods.get(&key).as_deref().and_then(Relay::of);
        if asked.get(&key).map(|(relay, _)| relay) == relay.as_ref() {
            continue;
        }
        for task in asked.remove(&key).into_iter().flat_map(|(_, tasks)| tasks) {
            task.abort();
        }
        match relay {
            Some(relay) => {
                let ask =
                    Ask { http: http.clone(), key: key.clone(), relay: relay.clone(), triggers: triggers.clone() };
                let mut handles = Vec::new();
                if relay.speaks {
                    handles.push(tasks.spawn(ask.clone().for_ever(Arc::clone(&answers.speakers))));
                }
                handles.push(tasks.spawn(ask.for_ever(Arc::clone(&answers.relays))));
                asked.insert(key, (relay, handles));
            }
            None => answers.forget(&key),
        }
        // Those that were ended have to be taken note of.
        while tasks.try_join_next().is_some() {}
    }
}

/// A relay that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Relay {
    uid: Option<String>,
    address: String,
    fleet: ObjectRef<BorderRelay>,
    /// Whether there is a speaker beside it.
    speaks: bool,
}

impl Relay {
    fn of(pod: &Pod) -> Option<Self> {
        let fleet = names::fleet_of(&pod.metadata)?;
        let ours = pod.owner_references().iter().any(|owner| names::is_replica_set(owner, fleet));
        let status = pod.status.as_ref()?;
        let ended = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
        let started = status
            .init_container_statuses
            .iter()
            .flatten()
            .any(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()));
        let address = status.pod_ip.clone().filter(|_| ours && started && !ended)?;
        let fleet = ObjectRef::new(fleet).within(&pod.namespace()?);
        Some(Self { uid: pod.uid(), address, fleet, speaks: has_speaker(pod) })
    }
}

type Http = Client<HttpConnector, Empty<&'static [u8]>>;

fn http() -> Http {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_nodelay(true);
    // A pod that is gone does not always say so: without a timer, what is idle would stay for ever.
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_max_idle_per_host(1).pool_idle_timeout(IDLE).pool_timer(TokioTimer::new());
    client.build(connector)
}

/// Whom to ask, and whom to tell.
#[derive(Clone)]
struct Ask {
    http: Http,
    key: ObjectRef<Pod>,
    relay: Relay,
    triggers: Triggers,
}

impl Ask {
    async fn for_ever<S: Told>(self, last: Last<S>) {
        let Self { http, key, relay, triggers } = self;
        let mut after = None;
        let mut again = AGAIN[0];
        loop {
            let answer: Answer<S> = match state(&http, &relay.address, after).await {
                Ok(state) => {
                    after = Some(S::sequence(&state));
                    again = AGAIN[0];
                    Answer::State(state)
                }
                Err(why) => {
                    // It may have been started anew, and count from the beginning.
                    after = None;
                    Answer::Silence(why)
                }
            };
            let silent = answer.state().is_none();
            if last.put(key.clone(), relay.uid.clone(), answer.clone()).as_ref() != Some(&answer) {
                triggers.fleet(relay.fleet.clone());
            }
            if silent {
                tokio::time::sleep(again).await;
                again = (again * 2).min(AGAIN[1]);
            }
        }
    }
}

/// What is said there, as soon as there is something newer than `after`.
async fn state<S: Told>(http: &Http, address: &str, after: Option<u64>) -> Result<S, String> {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
    let uri: Uri =
        format!("http://{host}:{}/state{query}", S::PORT).parse().map_err(|_| format!("{address} is no address"))?;
    let answer = async {
        let response = http.get(uri).await.map_err(|error| root(&error))?;
        if !response.status().is_success() {
            return Err(format!("HTTP status {}", response.status()));
        }
        let body = Limited::new(response.into_body(), LONGEST).collect().await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| format!("its answer cannot be read: {error}"))
    };
    timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(format!("no answer in {} s", PATIENCE.as_secs())))
}
