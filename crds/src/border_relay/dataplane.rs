//! Where packets come in and go out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cel;
use crate::cel::{of_each, validations};

/// Where packets come in and go out.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Dataplane {
    /// The interfaces that carry customers' traffic; together they have an IPv4 and an IPv6 side. The pod's own network
    /// is none of them: it carries the API, metrics and probes only.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "x-kubernetes-validations" = validations(&cel::INTERFACES)))]
    pub interfaces: Vec<Interface>,

    /// How many queues a relay's TUN has, and threads that serve them. Left out, one for each CPU that the pod may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub queues: Option<i64>,

    /// Who turns on forwarding for IPv4 and IPv6 in a pod. `Network`: the `tuning` plugin in the chain of each network.
    /// `Pod`: the pod's own `securityContext.sysctls`; nodes must allow `net.ipv4.ip_forward` and
    /// `net.ipv6.conf.all.forwarding` (the kubelet's `allowedUnsafeSysctls`) or they refuse the pods over and over.
    #[serde(default)]
    pub sysctls: Sysctls,
}

/// An interface that carries customers' traffic.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = validations(&cel::INTERFACE)))]
pub struct Interface {
    /// What it is called in the pod: `net1`.
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"))]
    pub name: String,

    /// Which traffic it carries. `IPv4`: plain packets, from and to the Internet. `IPv6`: tunnel packets, from and to CEs.
    /// `Both`.
    #[serde(default)]
    pub side: Side,

    /// The NetworkAttachmentDefinition that makes it, on a segment that the relay shares with a router: `NAME` in the
    /// fleet's namespace, or `NAMESPACE/NAME`. An SR-IOV virtual function, `host-device` and `macvlan` are common.
    #[schemars(
        length(min = 1, max = 253),
        regex(
            pattern = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        )
    )]
    pub network: String,

    /// The program in the kernel that forwards what needs nothing special; all else goes through the TUN. `Auto`: XDP where
    /// the driver has it, tc elsewhere. `XDP`: nothing less. `XDPGeneric`: works with any driver, and is slow. `TC`: for
    /// veth and drivers without XDP. `None`: the TUN alone.
    #[serde(default)]
    pub fast_path: FastPath,

    /// The routers that packets go to. `FromPeers` alone: the BGP peers on this interface that are up. Or addresses: of
    /// IPv4 for the IPv4 side, of IPv6 for the IPv6 side, each for both. Several share the traffic.
    #[serde(default = "from_peers")]
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 2, max = 45)), transform = of_each(&cel::NEXT_HOP),
        extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = validations(&cel::NEXT_HOPS))
    )]
    pub next_hops: Vec<String>,
}

/// The word in `nextHops` that stands for the BGP peers.
pub const FROM_PEERS: &str = "FromPeers";

fn from_peers() -> Vec<String> {
    vec![FROM_PEERS.to_owned()]
}

/// Which traffic an interface carries.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Side {
    /// Plain packets, from and to the Internet.
    IPv4,
    /// Tunnel packets, from and to CEs.
    IPv6,
    /// All of it.
    #[default]
    Both,
}

impl Side {
    /// Whether it carries plain packets.
    #[must_use]
    pub fn is_ipv4(self) -> bool {
        self != Self::IPv6
    }

    /// Whether it carries tunnel packets.
    #[must_use]
    pub fn is_ipv6(self) -> bool {
        self != Self::IPv4
    }
}

/// The program in the kernel that forwards what needs nothing special.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FastPath {
    /// The best that there is.
    #[default]
    Auto,
    /// XDP in the driver.
    #[serde(rename = "XDP")]
    Xdp,
    /// XDP behind any driver.
    #[serde(rename = "XDPGeneric")]
    XdpGeneric,
    /// A tc program.
    #[serde(rename = "TC")]
    Tc,
    /// None: the TUN alone.
    None,
}

/// Who turns on forwarding in a pod.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sysctls {
    /// The networks' `tuning` plugin.
    #[default]
    Network,
    /// The pod's security context.
    Pod,
}
