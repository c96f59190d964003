//! What a domain says beyond its rules. The defaults are those of [`mape::options`]; a test compares them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::cel;
use crate::cel::{COMMUNITY, COMMUNITY_RULES, of_each, validations};

/// Packet sizes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(default)]
pub struct Mtu {
    /// The largest IPv6 packet towards a CE, in bytes (Junos `mtu-v6`): the smallest path MTU of the IPv6 network,
    /// as relays learn none. IPv4 packets of up to 40 bytes less pass whole.
    #[schemars(range(min = 1280, max = 16384))]
    pub v6: i64,
}

impl Default for Mtu {
    fn default() -> Self {
        Self { v6: 1500 }
    }
}

/// Which packet is cut when one does not fit the tunnel.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fragmentation {
    /// The IPv4 packet, before encapsulation.
    #[default]
    Inner,
    /// The IPv6 packet, after it (RFC 2473 s.7.1).
    Outer,
}

/// A feature that is there or not.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Toggle {
    #[default]
    Enabled,
    Disabled,
}

/// What becomes of fragments that arrive.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Reassembly {
    /// IPv4 fragments for addresses that CEs share: only the first has a port. `Virtual`: the others follow it (Junos
    /// `v4-partial-reassembly`). `Full`: the datagram is put together first (Junos `v4-reassembly`).
    /// `Disabled`: all are dropped.
    pub v4: ReassemblyV4,
    /// Fragments of tunnel packets from CEs: `Disabled` drops them.
    pub v6: Toggle,
    /// How long the fragments of one datagram may take to arrive, in seconds.
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: i64,
    /// How many datagrams may be incomplete at once: it bounds memory.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub max_datagrams: i64,
}

impl Default for Reassembly {
    fn default() -> Self {
        Self { v4: ReassemblyV4::Virtual, v6: Toggle::Enabled, timeout_seconds: 2, max_datagrams: 65_536 }
    }
}

/// How IPv4 fragments find their CE.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReassemblyV4 {
    /// They do not: dropped.
    Disabled,
    /// The first fragment's port decides for all.
    #[default]
    Virtual,
    /// The datagram is put together first.
    Full,
}

/// A word or a number: what `x-kubernetes-int-or-string` is for.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(untagged)]
pub enum WordOrNumber<W> {
    /// One of the words.
    Word(W),
    /// A number.
    Number(i64),
}

impl<W: Default> Default for WordOrNumber<W> {
    fn default() -> Self {
        Self::Word(W::default())
    }
}

/// What `tcpMssClamp` may be but a number.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MssWord {
    /// `mtu.v6` less 80.
    #[default]
    Auto,
    /// SYNs pass untouched.
    Disabled,
}

pub(super) fn auto() -> WordOrNumber<MssWord> {
    WordOrNumber::default()
}

pub(super) fn mss_clamp_schema(_: &mut SchemaGenerator) -> Schema {
    word_or_number("^(Auto|Disabled)$", 536, 16304)
}

/// The DSCP through the tunnel.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(default)]
pub struct Dscp {
    /// The DSCP of tunnel packets to CEs. `Copy`: that of the IPv4 packet. Or a fixed one, 0 to 63.
    #[serde(rename = "toCE")]
    #[schemars(schema_with = "dscp_to_ce_schema")]
    pub to_ce: WordOrNumber<DscpWord>,
    /// The DSCP of IPv4 packets that came from CEs. `Keep`: as the CE sent it. `Copy`: that of the tunnel packet.
    #[serde(rename = "fromCE")]
    pub from_ce: DscpFromCe,
}

/// What `dscp.toCE` may be but a number.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DscpWord {
    /// The inner one.
    #[default]
    Copy,
}

fn dscp_to_ce_schema(_: &mut SchemaGenerator) -> Schema {
    word_or_number("^(Copy)$", 0, 63)
}

/// The pattern holds for a word, the range for a number: Kubernetes applies each to its own type only.
fn word_or_number(words: &str, least: u32, most: u32) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "pattern": words,
        "minimum": least,
        "maximum": most,
    })
}

/// The DSCP of packets that came from CEs.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DscpFromCe {
    /// The inner one, as the CE sent it.
    #[default]
    Keep,
    /// The outer one.
    Copy,
}

/// How much of a CE's outer source must match.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SourceCheck {
    /// All 128 bits.
    #[default]
    Strict,
    /// The End-user prefix.
    Prefix,
}

/// The ICMP that the relay makes itself.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Icmp {
    /// How many errors the relay sends a second for this domain, ICMPv4 and ICMPv6 together; a burst may be as large.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub errors_per_second: i64,
    /// Whether the BR address answers an echo request.
    pub echo: Answer,
    /// How many echo replies the relay sends a second; a burst may be as large.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub echo_per_second: i64,
    /// Whether a CE whose packet failed the source check is told so, by ICMPv6 type 1 code 5. RFC 7597 drops such
    /// packets silently, which leaves a wrongly configured CE with nothing to see.
    pub source_check_errors: Answer,
    /// The source address of ICMPv4 errors: what the relay is called in a traceroute.
    /// Left out, it is the address of the relay's IPv4 side.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 7, max = 15), extend("x-kubernetes-validations" = validations(&cel::IPV4_SOURCE)))]
    pub ipv4_source: Option<String>,
}

impl Default for Icmp {
    fn default() -> Self {
        Self {
            errors_per_second: 100,
            echo: Answer::Answer,
            echo_per_second: 100,
            source_check_errors: Answer::Answer,
            ipv4_source: None,
        }
    }
}

/// Whether the sender hears of it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Answer {
    #[default]
    Answer,
    Silent,
}

/// Which routes lead to the relay, and how they are announced.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = validations(&cel::ADVERTISE)))]
pub struct Advertise {
    /// Routes for the rules' IPv4 prefixes and the BR address (Junos `disable-auto-route` is its opposite).
    pub auto_route: Toggle,
    /// Routes for the rules' IPv6 prefixes too: for networks that have no other way to draw the CEs' space.
    pub mape_prefixes: Toggle,
    /// Prefixes that are announced instead of all rules' `ipv4Prefix` in them: a table of one line for a hundred rules. Each
    /// holds a rule at least, none holds another. Packets to addresses in it that no rule has come to the relay too, which
    /// drops them and counts `NoRule`. The fleet's `allowed.ipv4Prefixes` has to hold it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 9, max = 18)), transform = of_each(&cel::IPV4_AGGREGATE), extend("x-kubernetes-list-type" = "set", "x-kubernetes-validations" = validations(&cel::IPV4_AGGREGATES)))]
    pub ipv4_aggregates: Vec<String>,
    /// BGP communities on the announcements: `64512:200` (RFC 1997) or `4200000000:1:2` (large, RFC 8092).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 3, max = 32), regex(pattern = COMMUNITY)), transform = of_each(&COMMUNITY_RULES), extend("x-kubernetes-list-type" = "set"))]
    pub communities: Vec<String>,
    /// BGP local preference of the announcements. Left out, the router's own default holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub local_preference: Option<i64>,
}

impl Advertise {
    /// The local preference, if there is one and it has 32 bits (RFC 4271 s.5.1.5); conversion refuses others.
    #[must_use]
    pub fn local_preference(&self) -> Option<u32> {
        self.local_preference.and_then(|number| number.try_into().ok())
    }
}

impl Default for Advertise {
    fn default() -> Self {
        Self {
            auto_route: Toggle::Enabled,
            mape_prefixes: Toggle::Disabled,
            ipv4_aggregates: Vec::new(),
            communities: Vec::new(),
            local_preference: None,
        }
    }
}
