//! `BorderRelay`, version v1alpha1: a fleet. The doc comments of fields are shown by `kubectl explain`: they teach.
//!
//! As in [`map_domain`](crate::map_domain), numbers are `i64` and addresses are strings: a value that makes no sense
//! has to reach [`FleetConfig`](crate::FleetConfig), which says why.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cel::{of_each, validations};

mod bgp;
mod cel;
mod dataplane;
mod pod;
mod status;

pub use bgp::{Bfd, Bgp, BgpPeer, RouterId, SecretKeyRef};
pub use dataplane::{Dataplane, FROM_PEERS, FastPath, Interface, Side, Sysctls};
pub use pod::{Container, Drain, PodTemplate, PullPolicy, Rollout};
pub use status::{BorderRelayStatus, RelayState, RelayStatus, RevisionStatus};

/// What a fleet is: so many relays, their interfaces, whom they announce to, and what they may ever announce.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "culvert.dev",
    version = "v1alpha1",
    kind = "BorderRelay",
    namespaced,
    shortname = "br",
    category = "culvert",
    status = "BorderRelayStatus",
    derive = "PartialEq",
    validation = cel::root(),
    doc = "A fleet of MAP-E border relays: stateless pods that serve every MapDomain whose relayRefs name it.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        json_path = ".spec.replicas",
        description = "How many relays are wanted"
    ),
    printcolumn(
        name = "Ready",
        type_ = "integer",
        json_path = ".status.readyReplicas",
        description = "How many relays carry traffic"
    ),
    printcolumn(
        name = "Programmed",
        type_ = "integer",
        json_path = ".status.programmedReplicas",
        description = "How many relays forward by the current revision"
    ),
    printcolumn(
        name = "Advertised",
        type_ = "integer",
        json_path = ".status.advertisedReplicas",
        description = "How many relays announce what they serve"
    ),
    printcolumn(
        name = "Sessions",
        type_ = "string",
        json_path = ".status.sessions",
        description = "How many BGP sessions are up, of how many"
    ),
    printcolumn(
        name = "Domains",
        type_ = "integer",
        json_path = ".status.revision.domains",
        description = "How many domains the current revision holds"
    ),
    printcolumn(
        name = "Rules",
        type_ = "integer",
        json_path = ".status.revision.rules",
        description = "How many mapping rules the current revision holds",
        priority = 1
    ),
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".status.revision.sequence",
        description = "The number of the current revision"
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Accepted")].status"#,
        description = "Whether the spec is sound",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = validations(&cel::SPEC)))]
pub struct BorderRelaySpec {
    /// How many relays there are: what `kubectl scale` and autoscalers set. Routers spread traffic over them by ECMP, so
    /// no more than `bgp.expectedMaxPaths` are of use.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 512))]
    pub replicas: i64,

    /// Where packets come in and go out.
    pub dataplane: Dataplane,

    /// How the fleet announces its prefixes to routers. Left out, nothing is announced: routers need static routes to the
    /// relays, and relays need `nextHops`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bgp: Option<Bgp>,

    /// What this fleet may ever serve and announce, set by those who own the routers. A domain that asks for more is not
    /// accepted, and a relay that was taken over cannot announce more.
    pub allowed: Allowed,

    /// How a relay takes its leave, so that no packet is lost.
    #[serde(default)]
    pub drain: Drain,

    /// How a change of the pods themselves (an image, an interface) spreads over the fleet. A change of domains needs no
    /// new pods.
    #[serde(default)]
    pub rollout: Rollout,

    /// What the pods are like, beyond what makes them relays.
    #[serde(default)]
    pub pod_template: PodTemplate,
}

fn default_replicas() -> i64 {
    2
}

/// What a fleet may ever serve and announce.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Allowed {
    /// The IPv4 prefixes in which every rule's `ipv4Prefix`, and every domain's `ipv4Aggregates`, must lie. Their host bits are zero.
    #[schemars(length(min = 1, max = 256), inner(length(min = 9, max = 18)), transform = of_each(&cel::ALLOWED_IPV4), extend("x-kubernetes-list-type" = "set"))]
    pub ipv4_prefixes: Vec<String>,

    /// The IPv6 prefixes in which every domain's `softwireAddress` must lie, and its rules' `mapePrefix` where that is
    /// announced too. Their host bits are zero. Write them in quotes: YAML gives colons a meaning.
    #[schemars(length(min = 1, max = 256), inner(length(min = 4, max = 49)), transform = of_each(&cel::ALLOWED_SOFTWIRE), extend("x-kubernetes-list-type" = "set"))]
    pub softwire_prefixes: Vec<String>,
}
