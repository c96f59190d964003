//! The CEL rules of a `BorderRelay`.

use crate::cel::Rule;

pub(super) const SPEC: [Rule; 6] = [
    Rule {
        field: ".replicas",
        rule: "!has(self.bgp) || self.replicas <= self.bgp.expectedMaxPaths",
        message: "replicas is more than bgp.expectedMaxPaths: routers spread traffic over that many relays, and the others \
            would carry none; raise the routers' limit, then expectedMaxPaths, then replicas",
    },
    Rule {
        field: ".podTemplate.terminationGracePeriodSeconds",
        rule: "self.drain.gracefulShutdownSeconds + self.drain.withdrawSeconds + 5
            <= self.podTemplate.terminationGracePeriodSeconds",
        message: "podTemplate.terminationGracePeriodSeconds must be drain.gracefulShutdownSeconds and drain.withdrawSeconds \
            and 5, or more: a relay would be killed while it drains",
    },
    Rule {
        field: ".dataplane.interfaces",
        rule: "has(self.bgp) || !self.dataplane.interfaces.exists(one, 'FromPeers' in one.nextHops)",
        message: "nextHops is FromPeers, and there are no peers: give addresses of routers, or say spec.bgp",
    },
    Rule {
        field: ".bgp.peers",
        rule: "!has(self.bgp) || self.bgp.peers.all(peer, !has(peer.interface)
            || self.dataplane.interfaces.exists(one, one.name == peer.interface))",
        message: "interface of a peer must be a name in dataplane.interfaces",
    },
    Rule {
        field: ".bgp.peers",
        rule: "!has(self.bgp) || self.bgp.peers.all(peer, peer.extendedNextHop == 'Disabled' || !has(peer.interface)
            || !self.dataplane.interfaces.exists(one, one.name == peer.interface && one.side == 'IPv6'))",
        message: "extendedNextHop draws plain packets to the peer's interface, and its side is IPv6: make it Both, or the peer's \
            extendedNextHop Disabled",
    },
    Rule {
        field: ".rollout.maxUnavailable",
        rule: "self.rollout.maxUnavailable + self.rollout.maxSurge > 0",
        message: "maxUnavailable and maxSurge are both 0: no pod could ever be replaced",
    },
];

pub(super) const INTERFACES: [Rule; 1] = [Rule {
    field: "",
    rule: "self.exists(one, one.side != 'IPv6') && self.exists(one, one.side != 'IPv4')",
    message: "interfaces must have both sides: one with side IPv4 and one with side IPv6, or one with Both",
}];

pub(super) const INTERFACE: [Rule; 3] = [
    Rule {
        field: ".name",
        rule: "!(self.name in ['lo', 'eth0', 'culvert0'])",
        message: "name is taken in every relay's pod (loopback, the pod network, the TUN): write another, such as net1",
    },
    Rule {
        field: ".nextHops",
        rule: "'FromPeers' in self.nextHops
            || self.nextHops.all(hop, !isIP(hop) || self.side == 'Both' || ip(hop).family() == (self.side == 'IPv4' ? 4 : 6))",
        message: "nextHops must be of the interface's side: IPv4 addresses for IPv4, IPv6 addresses for IPv6",
    },
    Rule {
        field: ".nextHops",
        rule: "'FromPeers' in self.nextHops || self.side != 'Both' || !self.nextHops.all(hop, isIP(hop))
            || (self.nextHops.exists(hop, ip(hop).family() == 4) && self.nextHops.exists(hop, ip(hop).family() == 6))",
        message: "nextHops must have an IPv4 and an IPv6 address, as the interface's side is Both",
    },
];

pub(super) const NEXT_HOPS: [Rule; 2] = [
    Rule {
        field: "",
        rule: "!('FromPeers' in self) || self.size() == 1",
        message: "nextHops is FromPeers alone, or addresses only",
    },
    Rule {
        field: "",
        rule: "self.all(one, self.exists_one(other, other == one))",
        message: "nextHops names a router twice: name each once",
    },
];

pub(super) const NEXT_HOP: [Rule; 2] = [
    Rule {
        field: "",
        rule: "self == 'FromPeers' || isIP(self)",
        message: "nextHops must be FromPeers, or addresses such as 192.0.2.1 and 2001:db8::1",
    },
    Rule {
        field: "",
        rule: "!isIP(self) || (ip(self).family() == 4
            ? ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3'].all(martian, !cidr(martian).containsIP(ip(self)))
            : ip(self).isGlobalUnicast() || ip(self).isLinkLocalUnicast())",
        message: "nextHops must be addresses of hosts: not unspecified, loopback, multicast or reserved",
    },
];

pub(super) const BGP: [Rule; 2] = [
    Rule {
        field: ".gracefulRestart",
        rule: "self.gracefulRestart == 'Disabled' || self.peers.all(peer, peer.bfd.mode == 'Disabled')",
        message: "gracefulRestart contradicts BFD, which asks for quick withdrawal: leave it Disabled, or make bfd.mode of every \
            peer Disabled",
    },
    Rule {
        field: ".peers",
        rule: "self.peers.all(one, !has(one.passwordSecretRef) || self.peers.all(other, !has(other.passwordSecretRef)
            || other.passwordSecretRef.name == one.passwordSecretRef.name))",
        message: "passwordSecretRef names more than one Secret: put all passwords of a fleet into one, each under a key of its own; \
            pods mount it, and a new key restarts nothing",
    },
];

pub(super) const ASN: [Rule; 1] = [Rule {
    field: "",
    rule: "!(self in [23456, 65535])",
    message: "AS 23456 and 65535 are reserved (RFC 6793, RFC 7300): write the number of an autonomous system",
}];

pub(super) const PEER: [Rule; 7] = [
    Rule {
        field: ".address",
        rule: "has(self.address) || has(self.interface)",
        message: "address and interface are both missing: say where the router is",
    },
    Rule {
        field: ".interface",
        rule: "has(self.interface) || !has(self.address) || !isIP(self.address) || !ip(self.address).isLinkLocalUnicast()",
        message: "interface is missing: a link-local address means something on one segment only",
    },
    Rule {
        field: ".multihopTTL",
        rule: "!has(self.multihopTTL)
            || (has(self.address) && (!isIP(self.address) || !ip(self.address).isLinkLocalUnicast()))",
        message: "multihopTTL must be left out: without an address, or with a link-local one, the router is on the segment",
    },
    Rule {
        field: ".ttlSecurity",
        rule: "self.ttlSecurity == 'Disabled' || !has(self.multihopTTL)",
        message: "ttlSecurity contradicts multihopTTL: it is for neighbours on the segment (RFC 5082)",
    },
    Rule {
        field: ".sourcePrefix",
        rule: "!has(self.sourcePrefix) || !has(self.address) || !isIP(self.address) || !isCIDR(self.sourcePrefix)
            || cidr(self.sourcePrefix).ip().family() == ip(self.address).family()",
        message: "sourcePrefix must be of the address' family: the session has one",
    },
    Rule {
        field: ".extendedNextHop",
        rule: "self.extendedNextHop == 'Disabled' || !has(self.address) || !isIP(self.address) || ip(self.address).family() == 6",
        message: "extendedNextHop is for IPv6 sessions (RFC 8950): leave it Disabled, or give the router's IPv6 address",
    },
    Rule {
        field: ".keepaliveTimeSeconds",
        rule: "self.keepaliveTimeSeconds * 3 <= self.holdTimeSeconds",
        message: "keepaliveTimeSeconds must be a third of holdTimeSeconds, or less, so that a lost message ends no session",
    },
];

pub(super) const SOURCE_PREFIX: [Rule; 2] = [
    Rule {
        field: "",
        rule: "isCIDR(self)",
        message: "sourcePrefix must be a prefix such as 192.0.2.0/24 or 2001:db8::/64",
    },
    Rule {
        field: "",
        rule: "!isCIDR(self) || cidr(self) == cidr(self).masked()",
        message: "sourcePrefix has host bits: write zeros behind its length",
    },
];

pub(super) const ADDRESS: [Rule; 2] = [
    Rule {
        field: "",
        rule: "isIP(self)",
        message: "address must be an IPv4 or IPv6 address such as 192.0.2.1 or 2001:db8::1",
    },
    Rule {
        field: "",
        rule: "!isIP(self) || (ip(self).family() == 4
            ? ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3'].all(martian, !cidr(martian).containsIP(ip(self)))
            : ip(self).isGlobalUnicast() || ip(self).isLinkLocalUnicast())",
        message: "address must be that of a host: not unspecified, loopback, multicast or reserved",
    },
];

pub(super) const ALLOWED_IPV4: [Rule; 2] = [
    Rule {
        field: "",
        rule: "isCIDR(self) && cidr(self).ip().family() == 4",
        message: "ipv4Prefixes must be IPv4 prefixes such as 192.0.2.0/24",
    },
    Rule {
        field: "",
        rule: "!isCIDR(self) || cidr(self) == cidr(self).masked()",
        message: "a prefix in ipv4Prefixes has host bits: write zeros behind its length",
    },
];

pub(super) const ALLOWED_SOFTWIRE: [Rule; 2] = [
    Rule {
        field: "",
        rule: "isCIDR(self) && cidr(self).ip().family() == 6",
        message: "softwirePrefixes must be IPv6 prefixes such as 2001:db8::/32",
    },
    Rule {
        field: "",
        rule: "!isCIDR(self) || cidr(self) == cidr(self).masked()",
        message: "a prefix in softwirePrefixes has host bits: write zeros behind its length",
    },
];

/// Objects of a fleet are called by its name. The API server takes no path into metadata.
pub(super) fn root() -> kube::core::Rule {
    kube::core::Rule::new(
        "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.metadata.name.size() <= 63",
    )
    .message("metadata.name must be 1 to 63 of a-z, 0-9 and -: pods carry it as a label, and relayRefs name it")
}
