"""The network around the nodes: who is where, and what every router is set to.

            internet                          core -- ce1 ce2 ce3 -- lan1 lan2 lan3
               |  203.0.113.0/24                |  2001:db8:0:ff::/64
        +------+-------+                 +------+-------+
       tor1           tor2              tor1           tor2         two routers, each of them drawn twice
        +------+-------+                 +------+-------+
               |  198.51.100.0/24               |  2001:db8:100::/64
          segment ipv4                     segment ipv6
               +---------------+----------------+
                         node1   node2                              pods 10.244.N.0/24, services 10.96.0.0/16
                               |  172.31.0.0/24
                            control                                 API server 172.31.0.1

Each node has three links into each segment: `ipv4` or `ipv6`, a master for macvlan, and `ipv4a`, `ipv4b` or `ipv6a`,
`ipv6b`, free ends that pods take for themselves (host-device).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path

from lab.customer import Customer, connect_customer, make_customer
from lab.lab import eventually
from lab.namespaces import Namespace, command
from lab.topology import BR, CORE, CUSTOMERS, RULE

from . import router
from .bird import Bird, customer_of_routers
from .router import CORE_AS, INTERNET_AS, ROUTER_AS, Router, next_hops

NODES = (1, 2)

# Kubernetes's own networks.
API_ADDRESS = IPv4Address("172.31.0.1")
API_CLUSTER_IP = IPv4Address("10.96.0.1")
SERVICES = IPv4Network("10.96.0.0/16")
PODS = IPv4Network("10.244.0.0/16")

# The fabric.
INTERNET = [IPv4Address(f"203.0.113.{last}") for last in (10, 11, 12)]
CUSTOMER_SIDE = IPv6Network("2001:db8::/32")  # what the routers send to core, unless they know better


@dataclass(frozen=True)
class Segment:
    """An Ethernet with both routers on it: a bridge of that name in `switch`."""

    name: str
    routers: tuple[IPv4Address, ...] | tuple[IPv6Address, ...]
    network: IPv4Network | IPv6Network

    @property
    def router(self) -> IPv4Address | IPv6Address:
        """The first router, for those who need only one."""
        return self.routers[0]

    @property
    def free(self) -> list[str]:
        """The links of a node that one pod each may have."""
        return [f"{self.name}a", f"{self.name}b"]

    @property
    def devices(self) -> list[str]:
        """A node's links; the first is the master for macvlan."""
        return [self.name, *self.free]


def segment(name: str, network: str, *routers: int) -> Segment:
    """The routers have these places in the network."""
    addresses = ip_network(network)
    return Segment(name, tuple(addresses[place] for place in routers), addresses)


# One for each side of the relays, which all nodes share; and the routers' ways to the world.
IPV4 = segment("ipv4", "198.51.100.0/24", 1, 2)
IPV6 = segment("ipv6", "2001:db8:100::/64", 1, 2)
SEGMENTS = (IPV4, IPV6)
INTERNET_SIDE = segment("internet", "203.0.113.0/24", 1, 2)
CORE_SIDE = segment("core", "2001:db8:0:ff::/64", 2, 3)  # 1 is core

# Fields for fib_multipath_hash_policy 3 (Linux, ip-sysctl): addresses and ports, and those of the packet inside.
ADDRESSES_AND_PORTS = 0x0033
INSIDE_TOO = 0x0CF3

# What the switch does when some of its ports are to be silent.
SILENCE = """table bridge silence {{
    set ports {{ type ifname; elements = {{ {ports} }} }}
    chain forward {{
        type filter hook forward priority filter
        iifname @ports drop
        oifname @ports drop
    }}
}}
"""


def node_address(number: int) -> IPv4Address:
    return IPv4Address(f"172.31.0.1{number}")


def pod_network(number: int) -> IPv4Network:
    """The pods of one node."""
    return list(PODS.subnets(new_prefix=24))[number]


class Fabric:
    """Every namespace of a cluster. They have names, so a fabric that another process made is reached the same way."""

    def __init__(self, name: str, folder: Path):
        """`folder` is the cluster's: routers keep their files there."""
        self.name = name
        self.spaces: dict[str, Namespace] = {}
        self.control, self.switch, self.internet, self.core = map(self.space, ("control", "switch", "internet", "core"))
        self.routers = [
            Router(self.space(f"tor{number}"), folder, str(address)) for number, address in enumerate(IPV4.routers, start=1)
        ]
        self.learners = {side: Bird(side, folder / side.node) for side in (self.internet, self.core)}
        self.nodes = {number: self.space(f"node{number}") for number in NODES}
        self.customers = [
            make_customer(number, RULE, public, psid, self.space)
            for number, (public, psid) in enumerate(CUSTOMERS, start=1)
        ]

    def space(self, node: str) -> Namespace:
        self.spaces[node] = Namespace(self.name, node)
        return self.spaces[node]

    def build(self) -> None:
        for node in self.spaces:
            Namespace.create(self.name, node)
        self.connect_control()
        for place in range(len(self.routers)):
            self.connect_router(place)
        self.connect_internet()
        self.connect_core()
        for number in NODES:
            for side in SEGMENTS:
                self.connect_segment(number, side)
        for customer in self.customers:
            connect_customer(customer, self.core, BR)

    def start_routing(self) -> None:
        """Starts the routers, and those who learn from them."""
        relays = [str(side.network) for side in SEGMENTS]
        for machine in self.routers:
            machine.start(router.bgp(machine.router_id, relays, str(INTERNET[0]), str(CORE)))
        ends = {self.internet: (INTERNET_AS, INTERNET_SIDE, "ipv4"), self.core: (CORE_AS, CORE_SIDE, "ipv6")}
        for space, (asn, side, family) in ends.items():
            routers = {machine.name: str(address) for machine, address in zip(self.routers, side.routers)}
            self.learners[space].start(customer_of_routers(asn, str(INTERNET[0]), routers, ROUTER_AS, family))

    def wait_routing(self) -> None:
        """Waits until Internet and core send to both routers."""
        names = {machine.name for machine in self.routers}
        for bird, family in zip(self.learners.values(), ("ipv4", "ipv6")):
            assert eventually(lambda family=family: self.sends_by(family, "default") == names, 30), (
                f"not all routers are used: {bird.ask('show', 'protocols')}")

    def sends_by(self, family: str, prefix: str) -> set[str]:
        """The routers that the Internet (ipv4) or core (ipv6) sends a prefix by: their names. None: it has no such route."""
        space, side = (self.internet, INTERNET_SIDE) if family == "ipv4" else (self.core, CORE_SIDE)
        hops = next_hops(space, ("::/0" if family == "ipv6" else "0.0.0.0/0") if prefix == "default" else prefix)
        return {machine.name for machine, address in zip(self.routers, side.routers) if str(address) in hops}

    def connect_control(self) -> None:
        """The network of the API server and the nodes, and the way between pods of different nodes."""
        self.control.ip(
            "link add nodes type bridge",
            f"addr add {API_ADDRESS}/24 dev nodes",
            "link set nodes up",
        )
        for number, node in self.nodes.items():
            self.control.ip(
                f"link add node{number} type veth peer name eth0 netns {node.name}",
                f"link set node{number} master nodes up",
                f"route add {pod_network(number)} via {node_address(number)}",
            )
            node.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
            node.ip(
                f"addr add {node_address(number)}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {API_ADDRESS}",
                *(
                    f"route add {pod_network(other)} via {node_address(other)}"
                    for other in NODES if other != number
                ),
            )

    def connect_router(self, place: int) -> None:
        """A router on all Ethernets. It spreads flows over equal routes by addresses and ports."""
        space = self.routers[place].namespace
        space.sysctl(
            ipv4__ip_forward=1,
            ipv6__conf__all__forwarding=1,
            ipv4__fib_multipath_hash_policy=1,
            ipv6__fib_multipath_hash_policy=1,
            ipv4__icmp_ratelimit=0,
            ipv6__icmp__ratelimit=0,
        )
        for side in (*SEGMENTS, INTERNET_SIDE, CORE_SIDE):
            if place == 0:
                self.switch.ip(f"link add {side.name} type bridge", f"link set {side.name} up")
            self.plug(space, side.name, side)
            address = f"{side.routers[place]}/{side.network.prefixlen}"
            space.ip(f"addr add {address} dev {side.name}{' nodad' if side.network.version == 6 else ''}")
        space.ip(f"route add {CUSTOMER_SIDE} via {CORE}")

    def plug(self, space: Namespace, device: str, side: Segment) -> None:
        """A cable from a namespace to an Ethernet; the switch's end is called NODE-DEVICE."""
        port = f"{space.node}-{device}"
        self.switch.ip(
            f"link add {port} type veth peer name {device} netns {space.name}",
            f"link set {port} master {side.name} up",
        )
        space.ip(f"link set {device} up")

    def connect_internet(self) -> None:
        """Which router a flow goes by is a matter of other fields than the routers look at: who hashes the same fields
        twice, sends all that one router gets to the same relays."""
        self.internet.sysctl(
            ipv4__icmp_ratelimit=0, ipv4__fib_multipath_hash_policy=3, ipv4__fib_multipath_hash_fields=ADDRESSES_AND_PORTS,
        )
        self.plug(self.internet, "tor", INTERNET_SIDE)
        self.internet.ip(*(f"addr add {address}/24 dev tor" for address in INTERNET))

    def connect_core(self) -> None:
        self.core.sysctl(
            ipv6__conf__all__forwarding=1, ipv6__icmp__ratelimit=0,
            ipv6__fib_multipath_hash_policy=3, ipv6__fib_multipath_hash_fields=INSIDE_TOO,
        )
        self.plug(self.core, "tor", CORE_SIDE)
        self.core.ip(f"addr add {CORE}/64 dev tor nodad")

    def connect_segment(self, number: int, side: Segment) -> None:
        """A node's links into a segment."""
        node = self.nodes[number]
        for device in side.devices:
            port = f"node{number}-{device}"
            self.switch.ip(
                f"link add {port} type veth peer name {device} netns {node.name}",
                f"link set {port} master {side.name} up",
            )
        # A master needs no address; macvlan's IPv6 is the pods' business alone.
        node.sysctl(**{f"ipv6__conf__{side.name}__disable_ipv6": 1})
        node.ip(f"link set {side.name} up")

    def spread(self, prefix: str, next_hops: list[str]) -> None:
        """Has the routers send a prefix to these relays, in equal shares, whatever BGP says; with none, no longer."""
        for machine in self.routers:
            if next_hops:
                hops = " ".join(f"nexthop via {hop}" for hop in next_hops)
                machine.namespace.ip(f"route replace {prefix} proto static {hops}")
            else:
                machine.namespace.try_run("ip", "route", "del", prefix, "proto", "static")

    def pauses(self) -> int:
        """How often a router has lost Internet or core, by BFD. Nothing but a bridge is between them: if it was not cut, this machine
        has stood still for longer than BFD waits."""
        ends = (str(INTERNET[0]), str(CORE))
        return sum(times for router in self.routers for peer, times in router.lost().items() if peer in ends)

    def router_ports(self, machine: Router) -> list[str]:
        """The switch's ports with a router's cables."""
        return [f"{machine.name}-{side.name}" for side in (*SEGMENTS, INTERNET_SIDE, CORE_SIDE)]

    def silence(self, *ports: str) -> None:
        """From now on the switch drops what comes in or is to go out by these of its ports (NODE-DEVICE), and no others.
        Nobody is told: their links stay up."""
        self.unsilence()
        command(*self.switch.argv("nft", "-f", "-"), stdin=SILENCE.format(ports=", ".join(f'"{port}"' for port in ports)))

    def unsilence(self) -> None:
        """The switch drops nothing."""
        command(*self.switch.argv("nft", "-f", "-"), stdin="table bridge silence\ndelete table bridge silence\n")

    def customer(self, number: int) -> Customer:
        return self.customers[number - 1]
