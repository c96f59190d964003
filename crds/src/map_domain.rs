//! `MapDomain`, version v1alpha1. The doc comments of fields are shown by `kubectl explain`: they teach.
//!
//! Numbers are `i64` and addresses are strings, whatever [`mape`] makes of them: a value that makes no sense has to
//! reach [`convert`](crate::convert), which says why; a type that refuses it could only say "invalid type".

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cel::{LABEL, validations};

mod cel;
mod options;
mod rule;
mod status;

pub use options::{
    Advertise, Answer, Dscp, DscpFromCe, DscpWord, Fragmentation, Icmp, MssWord, Mtu, Reassembly, ReassemblyV4,
    SourceCheck, Toggle, WordOrNumber,
};
pub use rule::MapRule;
pub use status::{FleetStatus, MapDomainStatus, RuleStatus};

/// What a MAP domain is: mapping rules and a border relay address, shared by border relays and CEs (RFC 7597 s.3).
#[expect(clippy::duplicated_attributes, reason = "every printer column has a type")]
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "culvert.dev",
    version = "v1alpha1",
    kind = "MapDomain",
    namespaced,
    shortname = "mapd",
    category = "culvert",
    status = "MapDomainStatus",
    derive = "PartialEq",
    doc = "A MAP-E domain (RFC 7597): which CE owns which IPv4 address and ports, and how a border relay serves it.",
    printcolumn(name = "BR Address", type_ = "string", json_path = ".spec.softwireAddress"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version", priority = 1),
    printcolumn(
        name = "Fleets",
        type_ = "string",
        json_path = ".spec.relayRefs[*].name",
        description = "The fleets that serve it"
    ),
    printcolumn(
        name = "Rules",
        type_ = "integer",
        json_path = ".status.ruleCount",
        description = "How many mapping rules it has"
    ),
    printcolumn(
        name = "CEs",
        type_ = "integer",
        json_path = ".status.ceCount",
        description = "How many CEs its rules can hold",
        priority = 1
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Accepted")].status"#,
        description = "Whether the spec is sound and allowed"
    ),
    printcolumn(
        name = "Programmed",
        type_ = "string",
        json_path = ".status.programmed",
        description = "How many relays of its fleets forward by it, of how many"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether traffic flows"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = validations(&cel::SPEC)))]
pub struct MapDomainSpec {
    /// The fleets (`BorderRelay` objects of this namespace) that serve the domain: one as a rule; several to move it
    /// from one fleet to another without loss, or for anycast.
    // Atomic: merged by name, the default would stay beside what is applied later on the server's side.
    #[serde(default = "default_relay_refs")]
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = validations(&cel::RELAY_REFS)))]
    pub relay_refs: Vec<RelayRef>,

    /// The BR address: the IPv6 address to which CEs send their tunnel packets (RFC 7597 s.5.4; Junos
    /// `softwire-address`). Several domains may share one. Write it in quotes: YAML gives colons a meaning.
    #[schemars(length(min = 2, max = 45), extend("x-kubernetes-validations" = validations(&cel::SOFTWIRE_ADDRESS)))]
    pub softwire_address: String,

    /// How a CE's address ends. `RFC7597`: 16 zero bits, IPv4 address, PSID. `Draft03`: the older layout of
    /// draft-ietf-softwire-map-03 (8 zero bits, IPv4 address, PSID, 8 zero bits; Junos `version-03`), which all
    /// lines in Japan use. CEs compute their addresses by it, so it can never be changed.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-validations" = validations(&cel::VERSION)))]
    pub version: Version,

    /// The mapping rules: where several match, the longest IPv4 prefix wins.
    #[schemars(length(min = 1, max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<MapRule>,

    /// Packet sizes.
    #[serde(default)]
    pub mtu: Mtu,

    /// Which packet is cut when one does not fit the tunnel. `Inner`: the IPv4 packet, before encapsulation, so that
    /// no CE has to reassemble. `Outer`: the IPv6 packet, after it. An IPv4 packet with DF set is never cut:
    /// its sender is told the size that fits.
    #[serde(default)]
    pub fragmentation: Fragmentation,

    /// What becomes of fragments that arrive.
    #[serde(default)]
    pub reassembly: Reassembly,

    /// The largest TCP segment that a SYN may announce through the relay, in either direction; it is only ever
    /// lowered. `Auto`: `mtu.v6` less 80 bytes of IPv6, IPv4 and TCP headers. `Disabled`: SYNs pass untouched.
    /// Or a number of bytes, 536 to `mtu.v6` less 80.
    #[serde(default = "options::auto")]
    #[schemars(schema_with = "options::mss_clamp_schema")]
    pub tcp_mss_clamp: WordOrNumber<MssWord>,

    /// The DSCP through the tunnel (RFC 2983). ECN follows RFC 6040 always.
    #[serde(default)]
    pub dscp: Dscp,

    /// How much of a tunnel packet's IPv6 source must be what its IPv4 source and port say (RFC 7597 s.8.1).
    /// `Strict`: all of the CE address. `Prefix`: the End-user prefix. It cannot be turned off.
    #[serde(default)]
    pub source_check: SourceCheck,

    /// Whether CEs reach other CEs through the relay.
    #[serde(default)]
    pub hairpin: Toggle,

    /// The ICMP that the relay makes itself.
    #[serde(default)]
    pub icmp: Icmp,

    /// Which routes lead to the relay.
    #[serde(default)]
    pub advertise: Advertise,
}

/// The fleet that serves a domain which names none.
pub(crate) fn default_relay_refs() -> Vec<RelayRef> {
    vec![RelayRef { name: "default".to_owned() }]
}

/// A fleet of relays.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RelayRef {
    /// The name of a `BorderRelay` in the same namespace.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub name: String,
}

/// How a CE's address ends.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Version {
    /// RFC 7597 s.6.
    #[default]
    #[serde(rename = "RFC7597")]
    Rfc7597,
    /// draft-ietf-softwire-map-03 s.6.
    Draft03,
}
