//! What relays say about themselves: `GET /state`, through the API server.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use crds::revision::{Files, Object};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde::{Deserialize, de::DeserializeOwned};

use super::Kubectl;
use crate::{failure::Failure, history::Activation};

/// Where a relay answers.
const PORT: u16 = 9108;

/// As many relays are asked at once: a kubectl each.
const AT_ONCE: usize = 8;

/// As much of a relay's state as commands look at. What it does not say is as for one that has just started.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RelayState {
    /// When the process started: its counters began at 0 then.
    pub(crate) started: String,
    pub(crate) revision: Option<Held>,
    pub(crate) domains: Vec<DomainState>,
    /// Packets that belong to no domain.
    pub(crate) unattributed: Counts,
    pub(crate) kernel_drops: Vec<KernelDrops>,
    pub(crate) history: Vec<Activation>,
}

/// What it forwards by.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Held {
    pub(crate) sequence: Option<u64>,
    pub(crate) hash: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DomainState {
    pub(crate) namespace: String,
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

/// Since the process started, by direction (`to_ce`, `from_ce`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub(crate) forwarded: BTreeMap<String, Count>,
    /// By direction, then by reason.
    pub(crate) dropped: BTreeMap<String, BTreeMap<String, Count>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// What the kernel dropped at an interface, before or after the relay.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct KernelDrops {
    pub(crate) interface: String,
    pub(crate) received: u64,
    pub(crate) transmitted: u64,
}

/// A relay's answer, and when it came.
pub(crate) struct Answer {
    pub(crate) pod: String,
    pub(crate) at: Instant,
    pub(crate) state: Result<RelayState, Failure>,
}

/// Whether there is anybody in the pod to ask.
pub(crate) fn runs(pod: &Pod) -> bool {
    let ended = |phase: &str| matches!(phase, "Failed" | "Succeeded");
    let status = pod.status.as_ref();
    status.is_some_and(|status| status.pod_ip.is_some() && !status.phase.as_deref().is_some_and(ended))
}

/// Asks one relay how it is.
pub(crate) fn state(kubectl: &Kubectl, namespace: &str, pod: &str) -> Result<RelayState, Failure> {
    page(kubectl, namespace, pod, "state")
}

/// Asks one relay for the files of its last good revision.
pub(super) fn revision(kubectl: &Kubectl, namespace: &str, pod: &str) -> Result<Files, Failure> {
    page(kubectl, namespace, pod, "revision").map(|config_map: ConfigMap| Object::files_of(&config_map))
}

fn page<T: DeserializeOwned>(kubectl: &Kubectl, namespace: &str, pod: &str, page: &str) -> Result<T, Failure> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{PORT}/proxy/{page}");
    let printed = kubectl.raw(&path).map_err(|failure| remedy(failure, namespace, pod))?;
    serde_json::from_slice(&printed).map_err(|error| Failure::Relay {
        url: format!("{namespace}/{pod}"),
        why: format!("this is not a relay's {page}: {error}"),
    })
}

/// Asks all of them, some at a time; the answers are in the order of the pods.
pub(crate) fn states(kubectl: &Kubectl, namespace: &str, pods: &[String]) -> Vec<Answer> {
    let next = Mutex::new(pods.iter().enumerate());
    let answers = Mutex::new(BTreeMap::new());
    let ask = || {
        let take = || next.lock().expect("no thread panics with it").next();
        while let Some((place, pod)) = take() {
            let state = state(kubectl, namespace, pod);
            let answer = Answer { pod: pod.clone(), at: Instant::now(), state };
            answers.lock().expect("no thread panics with it").insert(place, answer);
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(pods.len()) {
            scope.spawn(ask);
        }
    });
    answers.into_inner().expect("no thread panics with it").into_values().collect()
}

/// What to do about a relay that does not answer.
fn remedy(failure: Failure, namespace: &str, pod: &str) -> Failure {
    let Failure::Kubectl { why, .. } = failure else { return failure };
    let remedy = if why.contains("Forbidden") {
        format!(
            "; relays are asked through the API server: the right to get pods/proxy in namespace {namespace} is needed"
        )
    } else if why.contains("NotFound") {
        String::new()
    } else {
        format!(
            "; the API server has to reach the pod at TCP port {PORT}: a firewall, or a NetworkPolicy beside the fleet's own, \
             may deny it"
        )
    };
    Failure::Relay { url: format!("{namespace}/{pod}"), why: why + &remedy }
}

/// How long it took, at least a millisecond.
pub(crate) fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).max(Duration::from_millis(1)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_does_not_answer_comes_with_a_remedy() {
        let said =
            |why: &str| remedy(Failure::Kubectl { command: "kubectl".into(), why: why.into() }, "n", "p").to_string();
        assert!(said("(Forbidden): pods is forbidden").ends_with("get pods/proxy in namespace n is needed"));
        assert!(said("error trying to reach service: timeout").contains("NetworkPolicy"));
        assert_eq!(said("(NotFound): pods \"p\" not found"), "n/p: (NotFound): pods \"p\" not found");
    }
}
