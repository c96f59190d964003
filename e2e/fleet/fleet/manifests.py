"""The objects that tests apply: a fleet on the fabric's networks, and domains of its customers."""

import json

from cluster.fabric import IPV4, IPV6, SEGMENTS
from cluster.router import RELAY_AS, ROUTER_AS
from lab.topology import BR, RULE

from .relays import SIDE4, SIDE6

VERSION = "culvert.dev/v1alpha1"
FLEET, DOMAIN = "default", "isp-a"

# RULE in two halves: customers 1 and 2 are in the first, customer 3 is in the second. CE addresses are the same.
HALVES = [
    {"name": f"half{place}", "ipv4Prefix": str(ipv4), "mapePrefix": str(ipv6), "eaBitsLength": RULE.ea_bits - 2,
     "psidOffset": RULE.psid_offset, "psidLength": RULE.psid_length}
    for place, (ipv4, ipv6) in enumerate(zip(
        RULE.ipv4_prefix.subnets(prefixlen_diff=2), RULE.ipv6_prefix.subnets(prefixlen_diff=2)), start=1)
][:2]

# What the fleet announces for the domain: its rules' prefixes, and the BR address.
SERVED = [*(rule["ipv4Prefix"] for rule in HALVES), f"{BR}/128"]

# As the routers have it; the milliseconds until a neighbour that says nothing is down.
BFD = {"mode": "Enabled", "transmitIntervalMilliseconds": 100, "receiveIntervalMilliseconds": 100, "detectMultiplier": 3}
DETECTION = BFD["receiveIntervalMilliseconds"] * BFD["detectMultiplier"]


def bgp(**more) -> dict:
    """`spec.bgp` with a session for each family with each router."""
    peers = [
        {"name": f"tor{place}-{side.name}", "address": str(address), "peerASN": ROUTER_AS, "bfd": BFD, "ttlSecurity": "Enabled",
         "connectRetrySeconds": 1}
        for side in SEGMENTS for place, address in enumerate(side.routers, start=1)
    ]
    return {"localASN": RELAY_AS, "peers": peers} | more


def fleet(namespace: str, name: str = FLEET, replicas: int = 2, networks=("default/ipv4", "default/ipv6"), **spec) -> dict:
    by_hand = "bgp" not in spec  # without it nobody says which routers are up
    interfaces = [
        {"name": SIDE4, "side": "IPv4", "network": networks[0], "nextHops": [*map(str, IPV4.routers)]},
        {"name": SIDE6, "side": "IPv6", "network": networks[1], "nextHops": [*map(str, IPV6.routers)]},
    ]
    for interface in [] if by_hand else interfaces:
        del interface["nextHops"]
    wanted = {
        "replicas": replicas,
        "dataplane": {"interfaces": interfaces, "queues": 2},
        "allowed": {"ipv4Prefixes": [str(RULE.ipv4_prefix), "10.64.0.0/10"], "softwirePrefixes": ["3001:db8:ffff::/64"]},
        "drain": {"gracefulShutdownSeconds": 0 if by_hand else 1, "withdrawSeconds": 1 if by_hand else 2},
        "podTemplate": {
            "imagePullPolicy": "Never",
            "terminationGracePeriodSeconds": 8,
            # Without it, what else a node runs may put two relays on the other.
            "topologySpreadConstraints": [
                {"topologyKey": "kubernetes.io/hostname", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
            ],
        },
    }
    return document("BorderRelay", namespace, name, merged(wanted, spec))


def domain(namespace: str, name: str = DOMAIN, rules: list[dict] | None = None, **spec) -> dict:
    wanted = {"softwireAddress": str(BR), "version": "RFC7597", "rules": rules or HALVES}
    return document("MapDomain", namespace, name, wanted | spec)


def small_rule(number: int) -> dict:
    """A rule of 256 addresses that nobody uses."""
    return {
        "name": f"r{number}", "ipv4Prefix": f"10.64.{number}.0/24", "mapePrefix": f"2001:db8:f0{number:02x}::/48",
        "eaBitsLength": 16, "psidOffset": 6,
    }


def document(kind: str, namespace: str, name: str, spec: dict) -> dict:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def merged(base: dict, changes: dict) -> dict:
    """Maps are merged, all else is replaced."""
    both = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict)
        both[key] = merged(base[key], value) if nested else value
    return both


def text(*objects: dict) -> str:
    return "\n---\n".join(json.dumps(thing) for thing in objects)
