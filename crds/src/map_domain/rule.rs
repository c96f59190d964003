//! One mapping rule, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cel;
use crate::cel::{LABEL, validations};

/// One mapping rule (RFC 7597 s.5.2), Basic and Forwarding in one.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = validations(&cel::RULE)))]
pub struct MapRule {
    /// The rule's name, unique in the domain: what logs, metrics and `culvertctl` call it.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub name: String,

    /// The Rule IPv4 prefix, /8 to /32: the public addresses that the rule shares out. Its host bits are zero.
    #[schemars(length(min = 9, max = 18), extend("x-kubernetes-validations" = validations(&cel::IPV4_PREFIX)))]
    pub ipv4_prefix: String,

    /// The Rule IPv6 prefix: where the CEs' End-user prefixes lie. Its host bits are zero. Write it in quotes.
    #[schemars(length(min = 4, max = 49), extend("x-kubernetes-validations" = validations(&cel::MAPE_PREFIX)))]
    pub mape_prefix: String,

    /// How many bits of a CE's End-user prefix, behind the Rule IPv6 prefix, carry the rest of its IPv4 address and
    /// its PSID. The End-user prefix is as long as both together. 0: one CE for the whole rule.
    #[schemars(range(min = 0, max = 48))]
    pub ea_bits_length: i64,

    /// How many bits of a port stand before the PSID (`a`): 6 keeps ports 0 to 1023 out of every CE's set, 4 keeps
    /// 0 to 4095 out, 0 none. Both sides must agree and the field's defaults differ (RFC 7597: 6, Junos: 4), so it
    /// has none here.
    #[schemars(range(min = 0, max = 16))]
    pub psid_offset: i64,

    /// How many bits of a port are the PSID (`k`): 2^k CEs share one address. It follows from the EA bits
    /// (`eaBitsLength` less the host bits of `ipv4Prefix`) and may be left out; given, it must agree.
    /// Only a rule with `eaBitsLength` 0 states its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16))]
    pub psid_length: Option<i64>,

    /// The PSID of the only CE of a rule with `eaBitsLength` 0 that shares its address. Several such rules may have
    /// the same /32 with different PSIDs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub psid: Option<i64>,
}
