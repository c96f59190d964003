"""The objects that tests apply: a fleet on the fabric's networks, and domains of its customers."""

import json

from cluster.fabric import IPV4, IPV6
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


def fleet(namespace: str, name: str = FLEET, replicas: int = 2, networks=("default/ipv4", "default/ipv6"), **spec) -> dict:
    interfaces = [
        {"name": SIDE4, "side": "IPv4", "network": networks[0], "nextHops": [str(IPV4.router)]},
        {"name": SIDE6, "side": "IPv6", "network": networks[1], "nextHops": [str(IPV6.router)]},
    ]
    wanted = {
        "replicas": replicas,
        "dataplane": {"interfaces": interfaces, "queues": 2},
        "allowed": {"ipv4Prefixes": [str(RULE.ipv4_prefix), "10.64.0.0/10"], "softwirePrefixes": ["3001:db8:ffff::/64"]},
        "drain": {"gracefulShutdownSeconds": 0, "withdrawSeconds": 1},
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
