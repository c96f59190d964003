//! The test's objects in the cluster: made, waited for, removed.

use std::{
    fmt::Debug,
    net::IpAddr,
    time::{Duration, Instant},
};

use crds::{BorderRelay, MapDomain, border_relay::Interface};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    core::NamespaceResourceScope,
};
use pod::FleetName;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;

use super::place::Place;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// How long what was deleted may stay: relays take their leave.
const GONE: Duration = Duration::from_secs(60);

/// Where the fleet and its domain are.
pub(super) struct Cluster {
    /// The fleet's name, and the domain's.
    pub(super) name: FleetName,
    interfaces: Vec<Interface>,
    fleets: Api<BorderRelay>,
    domains: Api<MapDomain>,
    pods: Api<Pod>,
}

/// A relay of the fleet.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) pod: String,
    pub(super) node: String,
    /// Of its pages.
    pub(super) address: IpAddr,
    pub(super) place: Place,
}

impl Cluster {
    /// By the pod's service account.
    pub(super) async fn connect(fleet: &BorderRelay) -> Result<Self, String> {
        let name = FleetName { namespace: fleet.namespace().unwrap_or_default(), name: fleet.name_any() };
        let config = Config::infer().await.map_err(|error| format!("no API server is known: {error}"))?;
        let client = Client::try_from(config).map_err(|error| error.to_string())?;
        Ok(Self {
            interfaces: fleet.spec.dataplane.interfaces.clone(),
            fleets: Api::namespaced(client.clone(), &name.namespace),
            domains: Api::namespaced(client.clone(), &name.namespace),
            pods: Api::namespaced(client, &name.namespace),
            name,
        })
    }

    pub(super) async fn pod(&self, name: &str) -> Result<Pod, String> {
        self.pods.get(name).await.map_err(|error| format!("pod {}/{name}: {error}", self.name.namespace))
    }

    /// Makes both, in place of those of an earlier test.
    pub(super) async fn make(&self, fleet: &BorderRelay, domain: &MapDomain) -> Result<(), String> {
        self.remove().await?;
        create(&self.fleets, fleet).await?;
        create(&self.domains, domain).await
    }

    /// Deletes both, and waits until their relays are gone: they could be taken for those of the next test.
    pub(super) async fn remove(&self) -> Result<(), String> {
        delete(&self.domains, &self.name.name).await?;
        delete(&self.fleets, &self.name.name).await?;
        let end = Instant::now() + GONE;
        while !self.pods().await?.is_empty() {
            if Instant::now() > end {
                return Err(format!("relays of fleet {} stay: kubectl describe pods says why", self.name));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Waits until the operator has taken both and so many relays forward; those relays.
    pub(super) async fn relays(&self, count: i64, until: Instant) -> Result<Vec<Relay>, String> {
        loop {
            let fleet = self.fleets.get(&self.name.name).await.map_err(|error| error.to_string())?;
            let domain = self.domains.get(&self.name.name).await.map_err(|error| error.to_string())?;
            match missing(&fleet, &domain, count) {
                None => return self.pods().await?.iter().map(|pod| self.relay(pod)).collect(),
                Some(why) if Instant::now() > until => return Err(why),
                Some(_) => sleep(PAUSE).await,
            }
        }
    }

    /// The fleet's pods.
    async fn pods(&self) -> Result<Vec<Pod>, String> {
        let selector = format!("app.kubernetes.io/name=culvert-relay,app.kubernetes.io/instance={}", self.name.name);
        let found = self.pods.list(&ListParams::default().labels(&selector)).await;
        found.map(|found| found.items).map_err(|error| format!("pods of the fleet: {error}"))
    }

    fn relay(&self, pod: &Pod) -> Result<Relay, String> {
        let name = pod.name_any();
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()?.parse().ok());
        Ok(Relay {
            address: address.ok_or_else(|| format!("pod {name} has no address"))?,
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
            place: Place::of(pod, &self.interfaces)?,
            pod: name,
        })
    }

    /// A failure, and where its cause may be seen.
    pub(super) fn and_how_to_look(&self, why: &str) -> String {
        let FleetName { namespace, name } = &self.name;
        format!(
            "{why}\nthe fleet stays to be looked at: kubectl -n {namespace} describe borderrelay,mapdomain {name}; kubectl -n \
             {namespace} logs deployment/{name}-relay -c relay; the next test removes it, and so does the end of the test's pod"
        )
    }
}

/// What is missing until so many relays forward; without relays, until both are accepted and there is a revision.
fn missing(fleet: &BorderRelay, domain: &MapDomain, count: i64) -> Option<String> {
    let (Some(relays), Some(of_domain)) = (&fleet.status, &domain.status) else { return Some(NO_OPERATOR.to_owned()) };
    let judged = [("BorderRelay", &relays.conditions), ("MapDomain", &of_domain.conditions)];
    let wanted = if count == 0 { "Accepted" } else { "Programmed" };
    let is_so = |(_, conditions): &(_, &Vec<Condition>)| {
        conditions.iter().any(|condition| condition.type_ == wanted && condition.status == "True")
    };
    let served = relays.revision.as_ref().is_some_and(|revision| revision.domains == 1);
    if judged.iter().all(is_so) && served && relays.ready_replicas == count && relays.programmed_replicas == count {
        return None;
    }
    let said =
        judged.iter().flat_map(|(kind, conditions)| conditions.iter().filter_map(|condition| trouble(kind, condition)));
    let count = format!("{} of {count} relays are ready", relays.ready_replicas);
    Some([count].into_iter().chain(said).collect::<Vec<_>>().join("\n  "))
}

/// A condition that is not as it shall be, in words. That the fleet announces nothing is intended.
fn trouble(kind: &str, condition: &Condition) -> Option<String> {
    let Condition { type_, status, reason, message, .. } = condition;
    (status != "True" && type_ != "Advertised").then(|| format!("{kind} {type_}={status} {reason}: {message}"))
}

const NO_OPERATOR: &str = "no operator has looked at the fleet: does one run (kubectl get pods -A -l \
                           app.kubernetes.io/name=culvert-operator), and may it in this namespace (`watchNamespaces`)?";

async fn create<K>(api: &Api<K>, object: &K) -> Result<(), String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Serialize + DeserializeOwned + Debug,
{
    let kind = K::kind(&());
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            Err(format!("the cluster knows no {kind}: install the chart culvert-crds, then test again"))
        }
        Err(error) => Err(format!("{kind} cannot be made: {error}")),
    }
}

/// Deletes an object, if it is there, and waits until it is not.
async fn delete<K>(api: &Api<K>, name: &str) -> Result<(), String>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let kind = K::kind(&());
    let failed = |error: kube::Error| format!("{kind} {name} cannot be removed: {error}");
    let end = Instant::now() + GONE;
    while let Some(object) = api.get_opt(name).await.map_err(failed)? {
        if !object.owner_references().iter().any(|owner| owner.kind == "Pod") {
            return Err(format!(
                "{kind} {name} is there, and is no test's: give the release, and so the test, another name"
            ));
        }
        if Instant::now() > end {
            return Err(format!("{kind} {name} stays: kubectl describe says who holds it"));
        }
        match api.delete(name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            result => _ = result.map_err(failed)?,
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn objects(fleet_status: &Value, domain_status: &Value) -> (BorderRelay, MapDomain) {
        let object = |kind: &str, spec: Value, status: &Value| json!({"apiVersion": "culvert.dev/v1alpha1", "kind": kind, "metadata": {"name": "test"}, "spec": spec, "status": status});
        let fleet = json!({"dataplane": {"interfaces": []}, "allowed": {"ipv4Prefixes": [], "softwirePrefixes": []}});
        let domain = json!({"softwireAddress": "2001:2::1", "rules": []});
        let fleet = serde_json::from_value(object("BorderRelay", fleet, fleet_status)).unwrap();
        (fleet, serde_json::from_value(object("MapDomain", domain, domain_status)).unwrap())
    }

    fn condition(name: &str, status: &str) -> Value {
        json!({"type": name, "status": status, "reason": "Word", "message": "a sentence", "lastTransitionTime": "2026-11-01T12:00:00Z"})
    }

    #[test]
    fn relays_are_waited_for_and_what_they_lack_is_told() {
        let ready = |programmed: &str, ready: i64| {
            let conditions =
                [condition("Accepted", "True"), condition("Programmed", programmed), condition("Advertised", "False")];
            let fleet = json!({"conditions": conditions, "readyReplicas": ready, "programmedReplicas": 2,
                "revision": {"sequence": 1, "hash": "", "domains": 1, "rules": 1}});
            let (fleet, domain) = objects(&fleet, &json!({"conditions": conditions}));
            missing(&fleet, &domain, 2)
        };
        assert_eq!(ready("True", 2), None);
        assert_eq!(ready("True", 1).unwrap(), "1 of 2 relays are ready");
        let why = "2 of 2 relays are ready\n  BorderRelay Programmed=False Word: a sentence\n  MapDomain Programmed=False Word: a sentence";
        assert_eq!(ready("False", 2).unwrap(), why);
    }

    #[test]
    fn without_relays_both_have_to_be_accepted() {
        let accepted = |fleet: &str, domain: &str, domains: i64| {
            let fleet = json!({"conditions": [condition("Accepted", fleet), condition("Programmed", "False")],
                "revision": {"sequence": 1, "hash": "", "domains": domains, "rules": 1}});
            let (fleet, domain) = objects(&fleet, &json!({"conditions": [condition("Accepted", domain)]}));
            missing(&fleet, &domain, 0)
        };
        assert_eq!(accepted("True", "True", 1), None);
        assert!(accepted("True", "True", 0).is_some(), "the revision is still to come");
        assert!(accepted("True", "False", 1).is_some());
        assert!(accepted("False", "True", 1).is_some());
    }

    #[test]
    fn an_operator_that_does_nothing_is_told() {
        let (fleet, domain) = objects(&Value::Null, &Value::Null);
        assert_eq!(missing(&fleet, &domain, 1).unwrap(), NO_OPERATOR);
    }
}
