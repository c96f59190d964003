//! Which relays have to leave.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};

use crate::fleet::found::RelayPod;

/// What the control plane says about a node's health by itself. Whether routers still reach a relay there is for BFD to
/// find out: a control plane that loses sight of its nodes must not take the fleet off the air.
const HEALTH: &str = "node.kubernetes.io/";

/// What people say about a node under the same prefix.
const WISHES: [&str; 2] = ["node.kubernetes.io/unschedulable", "node.kubernetes.io/out-of-service"];

/// The pods that have to leave: those that are being deleted, and those on nodes that are to be emptied, as long as a relay
/// is left that carries traffic. Better on a cordoned node than nowhere.
#[must_use]
pub fn leaving(pods: &[RelayPod], nodes: &[Arc<Node>], tolerations: &[Toleration]) -> BTreeSet<String> {
    let closed: BTreeSet<&str> = nodes
        .iter()
        .filter(|node| is_closed(node, tolerations))
        .filter_map(|node| node.metadata.name.as_deref())
        .collect();
    let on_closed = |pod: &RelayPod| pod.node().is_some_and(|node| closed.contains(node));
    let others_carry = pods.iter().any(|pod| pod.is_ready() && !pod.is_leaving() && !on_closed(pod));
    let alive = pods.iter().filter(|pod| !pod.has_ended());
    let leaves = alive.filter(|pod| pod.is_leaving() || (others_carry && on_closed(pod)));
    leaves.map(|pod| pod.name().to_owned()).collect()
}

fn is_closed(node: &Node, tolerations: &[Toleration]) -> bool {
    let Some(spec) = &node.spec else { return false };
    let cordoned = Taint { key: WISHES[0].to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    let cordoned = (spec.unschedulable == Some(true)).then_some(&cordoned);
    let wished = |taint: &&Taint| !taint.key.starts_with(HEALTH) || WISHES.contains(&&*taint.key);
    let hard = |taint: &&Taint| ["NoSchedule", "NoExecute"].contains(&&*taint.effect);
    let mut taints = cordoned.into_iter().chain(spec.taints.iter().flatten());
    taints.any(|taint| wished(&taint) && hard(&taint) && !tolerations.iter().any(|it| tolerates(it, taint)))
}

/// As the scheduler sees it.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let any_key = toleration.key.as_deref().unwrap_or_default().is_empty();
    let exists = toleration.operator.as_deref() == Some("Exists");
    let key = if any_key { exists } else { toleration.key.as_deref() == Some(&taint.key) };
    let empty = String::new();
    let value = exists || toleration.value.as_ref().unwrap_or(&empty) == taint.value.as_ref().unwrap_or(&empty);
    let effect = toleration.effect.as_deref().is_none_or(|effect| effect.is_empty() || effect == taint.effect);
    key && value && effect
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixtures::{pod, ready};

    fn node(name: &str, taints: &[(&str, &str)]) -> Arc<Node> {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        let taint = |(key, effect): &(&str, &str)| Taint {
            key: (*key).to_owned(),
            effect: (*effect).to_owned(),
            ..Taint::default()
        };
        node.spec.get_or_insert_default().taints = Some(taints.iter().map(taint).collect());
        Arc::new(node)
    }

    fn cordoned(name: &str) -> Arc<Node> {
        let mut node = Node::clone(&node(name, &[]));
        node.spec.get_or_insert_default().unschedulable = Some(true);
        Arc::new(node)
    }

    fn names(leaving: &BTreeSet<String>) -> Vec<&str> {
        leaving.iter().map(String::as_str).collect()
    }

    fn fleet() -> Vec<RelayPod> {
        vec![ready(pod("a", Some("n1"))), ready(pod("b", Some("n2")))]
    }

    #[test]
    fn relays_on_cordoned_and_tainted_nodes_leave() {
        assert_eq!(names(&leaving(&fleet(), &[cordoned("n1"), node("n2", &[])], &[])), ["a"]);
        assert_eq!(names(&leaving(&fleet(), &[node("n2", &[("maintenance", "NoSchedule")])], &[])), ["b"]);
        assert_eq!(names(&leaving(&fleet(), &[node("n2", &[("maintenance", "NoExecute")])], &[])), ["b"]);
        assert!(leaving(&fleet(), &[node("n2", &[("maintenance", "PreferNoSchedule")])], &[]).is_empty());
    }

    #[test]
    fn a_toleration_lets_them_stay() {
        let toleration = Toleration {
            key: Some("maintenance".to_owned()),
            operator: Some("Exists".to_owned()),
            ..Toleration::default()
        };
        let nodes = [node("n2", &[("maintenance", "NoSchedule")])];
        assert!(leaving(&fleet(), &nodes, std::slice::from_ref(&toleration)).is_empty());
        let other = Toleration { effect: Some("NoExecute".to_owned()), ..toleration };
        assert_eq!(names(&leaving(&fleet(), &nodes, &[other])), ["b"]);
        let valued =
            Toleration { key: Some("maintenance".to_owned()), value: Some("now".to_owned()), ..Toleration::default() };
        assert_eq!(names(&leaving(&fleet(), &nodes, &[valued])), ["b"]);
    }

    #[test]
    fn a_node_that_is_out_of_sight_keeps_its_relays() {
        let nodes = [node("n2", &[("node.kubernetes.io/unreachable", "NoExecute")])];
        assert!(leaving(&fleet(), &nodes, &[]).is_empty());
    }

    #[test]
    fn the_last_that_carry_traffic_stay() {
        assert!(leaving(&fleet(), &[cordoned("n1"), cordoned("n2")], &[]).is_empty());
        let one_waits = vec![ready(pod("a", Some("n1"))), pod("b", Some("n2"))];
        assert!(leaving(&one_waits, &[cordoned("n1")], &[]).is_empty());
    }

    #[test]
    fn who_is_deleted_leaves_in_any_case() {
        let mut last = ready(pod("a", Some("n1")));
        let mut deleted = k8s_openapi::api::core::v1::Pod::clone(&last.pod);
        deleted.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        last.pod = Arc::new(deleted);
        assert_eq!(names(&leaving(&[last], &[], &[])), ["a"]);
    }
}
