//! How the fleet announces its prefixes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cel;
use crate::{
    cel::{COMMUNITY, COMMUNITY_RULES, LABEL, SUBDOMAIN, of_each, validations},
    map_domain::Toggle,
};

/// How the fleet announces its prefixes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = validations(&cel::BGP)))]
pub struct Bgp {
    /// The autonomous system of the relays, 1 to 4294967294 without 23456 and 65535 (RFC 6793, RFC 7300).
    #[serde(rename = "localASN")]
    #[schemars(range(min = 1, max = 4_294_967_294_u32), extend("x-kubernetes-validations" = validations(&cel::ASN)))]
    pub local_asn: i64,

    /// How a relay gets a router ID of its own. `PodHash`: from a hash of its pod's name. `FromIPv4Side`: its address on
    /// the IPv4 side.
    #[serde(default, rename = "routerID")]
    pub router_id: RouterId,

    /// The routers that the fleet announces to; every relay has a session with each of them.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub peers: Vec<BgpPeer>,

    /// Over how many equal paths the routers spread traffic (Junos `maximum-ecmp`): relays beyond it would carry none, so
    /// `replicas` may not be larger. Raise the routers' limit first.
    #[serde(default = "default_max_paths")]
    #[schemars(range(min = 1, max = 512))]
    pub expected_max_paths: i64,

    /// Graceful restart (RFC 4724): routers keep the routes of a relay that has gone, for a while. It is the opposite of
    /// what a fleet of stateless relays wants, and contradicts BFD: for routers that insist.
    #[serde(default = "disabled")]
    pub graceful_restart: Toggle,
}

/// A router that the fleet announces to.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = validations(&cel::PEER)))]
pub struct BgpPeer {
    /// What logs, metrics and `kubectl` call it.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub name: String,

    /// The router's address. Left out, `interface` says where the router is, and it calls the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 45), extend("x-kubernetes-validations" = validations(&cel::ADDRESS)))]
    pub address: Option<String>,

    /// Which of `dataplane.interfaces` leads to it. Needed without an `address` (an unnumbered session, over IPv6
    /// link-local addresses) and for one that is link-local. Left out, the interface whose network holds the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub interface: Option<String>,

    /// The router's autonomous system: `localASN` for internal BGP.
    #[serde(rename = "peerASN")]
    #[schemars(range(min = 1, max = 4_294_967_294_u32), extend("x-kubernetes-validations" = validations(&cel::ASN)))]
    pub peer_asn: i64,

    /// The TCP port that the router listens on.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i64,

    /// How many hops away the router may be, as a TTL. Left out, it is a neighbour on the segment.
    #[serde(default, rename = "multihopTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 255))]
    pub multihop_ttl: Option<i64>,

    /// Whether either side refuses packets of the session that have crossed a router (GTSM, RFC 5082). The router must do
    /// so too, and be a neighbour.
    #[serde(default = "disabled")]
    pub ttl_security: Toggle,

    /// Of several addresses that a relay has on the interface, the session comes from the one in this prefix. Left out,
    /// from the one that the kernel takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 49), extend("x-kubernetes-validations" = validations(&cel::SOURCE_PREFIX)))]
    pub source_prefix: Option<String>,

    /// Bidirectional Forwarding Detection (RFC 5880): how soon either side notices that the other has gone.
    #[serde(default)]
    pub bfd: Bfd,

    /// Whether IPv4 prefixes go over this IPv6 session, with IPv6 next hops (RFC 8950). Without it an IPv6 session carries
    /// IPv6 prefixes only.
    #[serde(default = "disabled")]
    pub extended_next_hop: Toggle,

    /// The session's MD5 password (RFC 2385). If the Secret or its key is not there, there is no session: never one
    /// without a password. All peers name one Secret, with a key for each; if it is called FLEET-bgp, even the first
    /// password restarts no pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyRef>,

    /// Only relays on nodes with these labels have the session: for racks with routers of their own. Left out, all have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub node_selector: BTreeMap<String, String>,

    /// How long without a message until the session is down, in seconds (RFC 4271 s.10).
    #[serde(default = "default_hold_time")]
    #[schemars(range(min = 3, max = 65535))]
    pub hold_time_seconds: i64,

    /// How often a message is sent if there is nothing to say, in seconds: a third of `holdTimeSeconds` at most.
    #[serde(default = "default_keepalive_time")]
    #[schemars(range(min = 1, max = 21845))]
    pub keepalive_time_seconds: i64,

    /// How long until a session that failed is tried again, in seconds.
    #[serde(default = "default_connect_retry")]
    #[schemars(range(min = 1, max = 300))]
    pub connect_retry_seconds: i64,

    /// BGP communities on everything announced to this router, beside those of the domains: `64512:200` (RFC 1997) or
    /// `4200000000:1:2` (large, RFC 8092).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 3, max = 32), regex(pattern = COMMUNITY)), transform = of_each(&COMMUNITY_RULES), extend("x-kubernetes-list-type" = "set"))]
    pub communities: Vec<String>,

    /// How often `localASN` stands in the AS path beyond the once that it has to: the more, the less the router likes the
    /// path.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10))]
    pub as_path_prepend: i64,

    /// The multi-exit discriminator: of several paths from one autonomous system the router takes the lowest. Left out,
    /// none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub med: Option<i64>,
}

/// How a relay gets a router ID of its own.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RouterId {
    /// A hash of its pod's name.
    #[default]
    PodHash,
    /// Its address on the IPv4 side.
    FromIPv4Side,
}

/// Bidirectional Forwarding Detection.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Bfd {
    /// Whether the session has it. The router must have it too.
    pub mode: Toggle,
    /// How often the relay sends, in milliseconds.
    #[schemars(range(min = 10, max = 60_000))]
    pub transmit_interval_milliseconds: i64,
    /// How often the router may send, in milliseconds.
    #[schemars(range(min = 10, max = 60_000))]
    pub receive_interval_milliseconds: i64,
    /// After how many missing packets the other side is gone.
    #[schemars(range(min = 2, max = 255))]
    pub detect_multiplier: i64,
}

impl Default for Bfd {
    fn default() -> Self {
        Self {
            mode: Toggle::Enabled,
            transmit_interval_milliseconds: 300,
            receive_interval_milliseconds: 300,
            detect_multiplier: 3,
        }
    }
}

/// A value in a Secret.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SecretKeyRef {
    /// The name of a Secret in the fleet's namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = SUBDOMAIN))]
    pub name: String,
    /// Which of its keys.
    #[serde(default = "default_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

fn default_max_paths() -> i64 {
    16
}

fn disabled() -> Toggle {
    Toggle::Disabled
}

fn default_port() -> i64 {
    179
}

fn default_hold_time() -> i64 {
    90
}

fn default_keepalive_time() -> i64 {
    30
}

fn default_connect_retry() -> i64 {
    5
}

fn default_key() -> String {
    "password".to_owned()
}
