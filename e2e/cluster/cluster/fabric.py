"""The network around the nodes: who is where, and what every router is set to.

        internet                                   core -- ce1 ce2 ce3 -- lan1 lan2 lan3
            |                                       |
            |  203.0.113.0/24     2001:db8:0:ff::/64|
            +------------------ tor ----------------+
                                | |
      segment ipv4              | |              segment ipv6
      198.51.100.0/24   +-------+ +--------+     2001:db8:100::/64
                        |  both segments   |
                      node1              node2      pods 10.244.N.0/24, services 10.96.0.0/16
                        |  172.31.0.0/24   |
                        +---- control -----+        API server 172.31.0.1

Each node has three links into each segment: `ipv4` or `ipv6`, a master for macvlan, and `ipv4a`, `ipv4b` or `ipv6a`,
`ipv6b`, free ends that pods take for themselves (host-device).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from lab.customer import Customer, connect_customer, make_customer
from lab.namespaces import Namespace
from lab.topology import BR, CORE, CUSTOMERS, RELAY_CORE, RULE

NODES = (1, 2)

# Kubernetes's own networks.
API_ADDRESS = IPv4Address("172.31.0.1")
API_CLUSTER_IP = IPv4Address("10.96.0.1")
SERVICES = IPv4Network("10.96.0.0/16")
PODS = IPv4Network("10.244.0.0/16")

# The fabric.
TOR_OUTSIDE = IPv4Address("203.0.113.1")
INTERNET = [IPv4Address(f"203.0.113.{last}") for last in (10, 11, 12)]
TOR_CORE = RELAY_CORE  # where the lab's core expects the way to the relays


@dataclass(frozen=True)
class Segment:
    """An Ethernet that the router and all nodes share, for one side of the relays."""

    name: str  # of the bridge in the router and of the macvlan master in each node
    router: IPv4Address | IPv6Address
    network: IPv4Network | IPv6Network

    @property
    def free(self) -> list[str]:
        """The links of a node that one pod each may have."""
        return [f"{self.name}a", f"{self.name}b"]

    @property
    def devices(self) -> list[str]:
        return [self.name, *self.free]


IPV4 = Segment("ipv4", IPv4Address("198.51.100.1"), IPv4Network("198.51.100.0/24"))
IPV6 = Segment("ipv6", IPv6Address("2001:db8:100::1"), IPv6Network("2001:db8:100::/64"))
SEGMENTS = (IPV4, IPV6)


def node_address(number: int) -> IPv4Address:
    return IPv4Address(f"172.31.0.1{number}")


def pod_network(number: int) -> IPv4Network:
    """The pods of one node."""
    return list(PODS.subnets(new_prefix=24))[number]


class Fabric:
    """Every namespace of a cluster. They have names, so a fabric that another process made is reached the same way."""

    def __init__(self, name: str):
        self.name = name
        self.spaces: dict[str, Namespace] = {}
        self.control, self.tor, self.internet, self.core = map(self.space, ("control", "tor", "internet", "core"))
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
        self.start_tor()
        self.connect_internet()
        self.connect_core()
        for number in NODES:
            for segment in SEGMENTS:
                self.connect_segment(number, segment)
        for customer in self.customers:
            connect_customer(customer, self.core, BR)

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

    def start_tor(self) -> None:
        """The router at the top of the rack. It spreads flows over equal routes by addresses and ports."""
        self.tor.sysctl(
            ipv4__ip_forward=1,
            ipv6__conf__all__forwarding=1,
            ipv4__fib_multipath_hash_policy=1,
            ipv6__fib_multipath_hash_policy=1,
            ipv4__icmp_ratelimit=0,
            ipv6__icmp__ratelimit=0,
        )
        for segment in SEGMENTS:
            self.tor.ip(
                f"link add {segment.name} type bridge",
                f"addr add {segment.router}/{segment.network.prefixlen} dev {segment.name}",
                f"link set {segment.name} up",
            )

    def connect_internet(self) -> None:
        self.tor.ip(
            f"link add internet type veth peer name tor netns {self.internet.name}",
            f"addr add {TOR_OUTSIDE}/24 dev internet",
            "link set internet up",
        )
        self.internet.sysctl(ipv4__icmp_ratelimit=0)
        self.internet.ip(
            *(f"addr add {address}/24 dev tor" for address in INTERNET),
            "link set tor up",
            f"route add default via {TOR_OUTSIDE}",
        )

    def connect_core(self) -> None:
        self.core.sysctl(ipv6__conf__all__forwarding=1, ipv6__icmp__ratelimit=0)
        self.tor.ip(
            f"link add core type veth peer name tor netns {self.core.name}",
            f"addr add {TOR_CORE}/64 dev core nodad",
            "link set core up",
            f"route add default via {CORE}",
        )
        self.core.ip(f"addr add {CORE}/64 dev tor nodad", "link set tor up", f"route add default via {TOR_CORE}")

    def connect_segment(self, number: int, segment: Segment) -> None:
        """A node's links into a segment."""
        node = self.nodes[number]
        for device in segment.devices:
            port = f"node{number}-{device}"
            self.tor.ip(
                f"link add {port} type veth peer name {device} netns {node.name}",
                f"link set {port} master {segment.name} up",
            )
        # A master needs no address; macvlan's IPv6 is the pods' business alone.
        node.sysctl(**{f"ipv6__conf__{segment.name}__disable_ipv6": 1})
        node.ip(f"link set {segment.name} up")

    def spread(self, prefix: str, next_hops: list[str]) -> None:
        """Has the router send a prefix to these relays, in equal shares; with none, to nobody."""
        if not next_hops:
            self.tor.ip(f"route replace unreachable {prefix}")
            return
        self.tor.ip(" ".join([f"route replace {prefix}", *(f"nexthop via {hop}" for hop in next_hops)]))

    def customer(self, number: int) -> Customer:
        return self.customers[number - 1]
