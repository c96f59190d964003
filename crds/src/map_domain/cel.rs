//! The CEL rules of a `MapDomain`. They leave what lies between rules to [`mape::Fleet`]: to compare 1,000 rules with each
//! other is more than the API server spends on an object.

use crate::cel::Rule;

pub(super) const SPEC: [Rule; 1] = [Rule {
    field: ".tcpMssClamp",
    rule: "self.tcpMssClamp in ['Auto', 'Disabled'] || self.tcpMssClamp <= self.mtu.v6 - 80",
    message: "tcpMssClamp must be mtu.v6 less 80 bytes of headers, or less: lower it, raise mtu.v6, or write Auto",
}];

pub(super) const RELAY_REFS: [Rule; 1] = [Rule {
    field: "",
    rule: "self.all(one, self.exists_one(other, other.name == one.name))",
    message: "relayRefs names a fleet twice: name each once",
}];

pub(super) const SOFTWIRE_ADDRESS: [Rule; 2] = [
    Rule {
        field: "",
        rule: "isIP(self) && ip(self).family() == 6",
        message: "softwireAddress must be an IPv6 address such as 2001:db8::1",
    },
    Rule {
        field: "",
        rule: "!isIP(self) || ip(self).isGlobalUnicast()",
        message: "softwireAddress must be a routable unicast address: CEs send to it across the IPv6 network",
    },
];

pub(super) const VERSION: [Rule; 1] = [Rule {
    field: "",
    rule: "self == oldSelf",
    message: "version cannot be changed, as CEs compute their addresses by it: make a MapDomain of another name",
}];

/// What an IPv4 prefix has to be, one of a rule's or an aggregate. What is no IPv4 prefix fails by the first alone.
mod ipv4 {
    pub(super) const IS_IPV4: &str = "isCIDR(self) && cidr(self).ip().family() == 4";
    pub(super) const NO_HOST_BITS: &str =
        "!isCIDR(self) || cidr(self).ip().family() != 4 || cidr(self) == cidr(self).masked()";
    pub(super) const NOT_TOO_SHORT: &str =
        "!isCIDR(self) || cidr(self).ip().family() != 4 || cidr(self).prefixLength() >= 8";
    pub(super) const UNICAST: &str = "!isCIDR(self) || cidr(self).ip().family() != 4
        || ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3'].all(martian, !cidr(martian).containsCIDR(cidr(self)))";
}

pub(super) const IPV4_PREFIX: [Rule; 4] = [
    Rule { field: "", rule: ipv4::IS_IPV4, message: "ipv4Prefix must be an IPv4 prefix such as 192.0.2.0/24" },
    Rule { field: "", rule: ipv4::NO_HOST_BITS, message: "ipv4Prefix has host bits: write zeros behind its length" },
    Rule { field: "", rule: ipv4::NOT_TOO_SHORT, message: "ipv4Prefix must be /8 to /32" },
    Rule {
        field: "",
        rule: ipv4::UNICAST,
        message: "ipv4Prefix must be unicast space: 0/8, 127/8, 224/4 and 240/4 are nobody's",
    },
];

pub(super) const ADVERTISE: [Rule; 1] = [Rule {
    field: ".ipv4Aggregates",
    rule: "!has(self.ipv4Aggregates) || self.ipv4Aggregates.size() == 0 || self.autoRoute == 'Enabled'",
    message: "ipv4Aggregates needs autoRoute Enabled: without routes there is nothing to aggregate",
}];

pub(super) const IPV4_AGGREGATES: [Rule; 1] = [Rule {
    field: "",
    rule: "self.all(one, !isCIDR(one)
        || self.exists_one(other, isCIDR(other) && cidr(other).containsCIDR(cidr(one))))",
    message: "ipv4Aggregates has a prefix that lies in another: leave it out",
}];

pub(super) const IPV4_AGGREGATE: [Rule; 4] = [
    Rule { field: "", rule: ipv4::IS_IPV4, message: "ipv4Aggregates must be IPv4 prefixes such as 192.0.2.0/24" },
    Rule {
        field: "",
        rule: ipv4::NO_HOST_BITS,
        message: "a prefix in ipv4Aggregates has host bits: write zeros behind its length",
    },
    Rule { field: "", rule: ipv4::NOT_TOO_SHORT, message: "a prefix in ipv4Aggregates must be /8 to /32" },
    Rule {
        field: "",
        rule: ipv4::UNICAST,
        message: "a prefix in ipv4Aggregates must be unicast space: 0/8, 127/8, 224/4 and 240/4 are nobody's",
    },
];

pub(super) const MAPE_PREFIX: [Rule; 3] = [
    Rule {
        field: "",
        rule: "isCIDR(self) && cidr(self).ip().family() == 6",
        message: "mapePrefix must be an IPv6 prefix such as 2001:db8::/32",
    },
    Rule {
        field: "",
        rule: "!isCIDR(self) || cidr(self).ip().family() != 6 || cidr(self) == cidr(self).masked()",
        message: "mapePrefix has host bits: write zeros behind its length",
    },
    Rule {
        field: "",
        rule: "!isCIDR(self) || cidr(self).ip().family() != 6
            || (cidr(self).prefixLength() > 0 && cidr(self).ip().isGlobalUnicast())",
        message: "mapePrefix must be routable unicast space: CEs are reached there",
    },
];

pub(super) const RULE: [Rule; 7] = [
    Rule {
        field: ".eaBitsLength",
        rule: "!isCIDR(self.mapePrefix) || cidr(self.mapePrefix).prefixLength() + self.eaBitsLength <= 128",
        message: "eaBitsLength and the length of mapePrefix make the End-user prefix: 128 bits at most",
    },
    Rule {
        field: ".psidLength",
        rule: "!has(self.psidLength) || self.eaBitsLength == 0 || !isCIDR(self.ipv4Prefix)
            || self.psidLength == (self.eaBitsLength + cidr(self.ipv4Prefix).prefixLength() > 32
                ? self.eaBitsLength + cidr(self.ipv4Prefix).prefixLength() - 32 : 0)",
        message: "psidLength must be eaBitsLength less the host bits of ipv4Prefix (32 less its length): leave it out to \
            have it derived",
    },
    Rule {
        field: ".psidOffset",
        rule: "self.eaBitsLength == 0
            ? self.psidOffset + (has(self.psidLength) ? self.psidLength : 0) <= 16
            : !isCIDR(self.ipv4Prefix) || self.eaBitsLength + cidr(self.ipv4Prefix).prefixLength() <= 32
                || self.psidOffset + self.eaBitsLength + cidr(self.ipv4Prefix).prefixLength() - 32 <= 16",
        message: "psidOffset and the PSID (psidLength, or eaBitsLength less the host bits of ipv4Prefix) share the 16 bits of \
            a port: make one of them shorter",
    },
    Rule {
        field: ".psid",
        rule: "self.eaBitsLength > 0 || !has(self.psidLength) || self.psidLength == 0 || has(self.psid)",
        message: "psid is missing: without EA bits nothing else says which share of the ports the CE owns",
    },
    Rule {
        field: ".psid",
        rule: "!has(self.psid) || (self.eaBitsLength == 0 && has(self.psidLength) && self.psidLength > 0)",
        message: "psid is only for a rule with eaBitsLength 0 and a psidLength: leave it out",
    },
    Rule {
        field: ".psid",
        rule: "!has(self.psid) || !has(self.psidLength) || self.psid < [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, \
            4096, 8192, 16384, 32768, 65536][self.psidLength]",
        message: "psid has psidLength bits: it must be less than 2^psidLength",
    },
    Rule {
        field: ".ipv4Prefix",
        rule: "self.eaBitsLength > 0 || !has(self.psidLength) || self.psidLength == 0 || !isCIDR(self.ipv4Prefix)
            || cidr(self.ipv4Prefix).prefixLength() == 32",
        message: "ipv4Prefix must be a /32: a CE with a share of the ports has one address",
    },
];

pub(super) const IPV4_SOURCE: [Rule; 2] = [
    Rule {
        field: "",
        rule: "isIP(self) && ip(self).family() == 4",
        message: "icmp.ipv4Source must be an IPv4 address such as 192.0.2.1",
    },
    Rule {
        field: "",
        rule: "!isIP(self) || ip(self).family() != 4
            || ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3'].all(martian, !cidr(martian).containsIP(ip(self)))",
        message: "icmp.ipv4Source must be a unicast address: others are dropped on the way",
    },
];
