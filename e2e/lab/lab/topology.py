"""The lab's network: who is where, and what every node is set to.

    lan1 -- ce1 --+                      mgmt
                  |                       |
    lan2 -- ce2 --+-- core ------------ relay ------------ transit -- internet
                  |          IPv6                  IPv4
    lan3 -- ce3 --+
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from .customer import connect_customer, make_customer, route_to_tunnel
from .mape import Rule
from .namespaces import Namespace, remove_namespaces

BR = IPv6Address("3001:db8:ffff::1")
RULE = Rule(IPv4Network("67.91.205.0/24"), IPv6Network("2001:db8:ce::/48"), ea_bits=16, psid_offset=4, psid_length=8)
CUSTOMERS = [("67.91.205.2", 0x9C), ("67.91.205.2", 0x34), ("67.91.205.77", 0x9C)]

RELAY = IPv4Address("198.51.100.1")  # the relay host's address on the IPv4 side
RELAY_SOURCE = IPv4Address("198.51.100.100")  # what the relay speaks from: --ipv4-source, icmp.ipv4Source
TRANSIT = IPv4Address("198.51.100.2")
TRANSIT_OUTSIDE = IPv4Address("203.0.113.1")
INTERNET = IPv4Address("203.0.113.10")
CORE = IPv6Address("2001:db8:0:ff::1")
RELAY_CORE = IPv6Address("2001:db8:0:ff::2")
# The relay host's first address, on its own management network: the one the kernel would put into its ICMP errors if
# nobody told it better, and one that no customer may ever reach.
RELAY_MGMT = IPv4Address("10.99.0.1")
MGMT = IPv4Address("10.99.0.2")


class Network:
    """Every node, connected, with addresses and routes; the relay's node is ready for a relay."""

    def __init__(self, run: int):
        self.run = run
        self.nodes: list[Namespace] = []

    def build(self) -> None:
        self.core = self.new_node("core")
        self.relay = self.new_node("relay")
        self.transit = self.new_node("transit")
        self.internet = self.new_node("internet")
        self.mgmt = self.new_node("mgmt")
        self.customers = [
            make_customer(number, RULE, public, psid, self.new_node)
            for number, (public, psid) in enumerate(CUSTOMERS, start=1)
        ]
        self.connect_management()
        self.connect_core()
        self.connect_internet()
        for customer in self.customers:
            connect_customer(customer, self.core, BR)

    def remove(self) -> None:
        """Removes them all, one that was being made when the run was interrupted too."""
        remove_namespaces(str(self.run))

    def new_node(self, node: str) -> Namespace:
        namespace = Namespace.create(self.run, node)
        self.nodes.append(namespace)
        return namespace

    def connect_management(self) -> None:
        self.relay.ip(f"link add mgmt type veth peer name relay netns {self.mgmt.name}")
        self.relay.ip(f"addr add {RELAY_MGMT}/24 dev mgmt", "link set mgmt up")
        self.mgmt.ip(f"addr add {MGMT}/24 dev relay", "link set relay up", f"route add default via {RELAY_MGMT}")

    def connect_core(self) -> None:
        self.core.sysctl(ipv6__conf__all__forwarding=1, ipv6__icmp__ratelimit=0)
        self.core.ip(
            f"link add relay type veth peer name core netns {self.relay.name}",
            f"addr add {CORE}/64 dev relay nodad",
            "link set relay up",
        )
        self.relay.ip(
            f"addr add {RELAY_CORE}/64 dev core nodad",
            "link set core up",
            f"route add default via {CORE}",
        )
        self.core.ip(f"route add {BR}/128 via {RELAY_CORE}")
        self.relay.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)

    def connect_internet(self) -> None:
        self.transit.sysctl(ipv4__ip_forward=1, ipv4__icmp_ratelimit=0)
        self.internet.sysctl(ipv4__icmp_ratelimit=0)
        self.transit.ip(
            f"link add relay type veth peer name transit netns {self.relay.name}",
            f"link add internet type veth peer name transit netns {self.internet.name}",
            f"addr add {TRANSIT}/30 dev relay",
            f"addr add {TRANSIT_OUTSIDE}/24 dev internet",
            "link set relay up",
            "link set internet up",
            f"route add {RULE.ipv4_prefix} via {RELAY}",
            f"route add {RELAY_SOURCE} via {RELAY}",
        )
        self.relay.ip(f"addr add {RELAY}/30 dev transit", "link set transit up", f"route add default via {TRANSIT}")
        self.internet.ip(
            f"addr add {INTERNET}/24 dev transit", "link set transit up", f"route add default via {TRANSIT_OUTSIDE}"
        )

    def carry(self, ipv6: int, ipv4: int = 65_535) -> None:
        """Makes every link of the two families carry packets of these sizes, and tells customers what their tunnel does."""
        core, links = self.core, [(self.core, "relay"), (self.relay, "core")]
        for customer in self.customers:
            links += [(core, f"ce{customer.number}"), (customer.ce, "core")]
        for node, device in links:
            node.ip(f"link set {device} mtu {ipv6}")
        links = [(self.relay, "transit"), (self.transit, "relay"), (self.transit, "internet"), (self.internet, "transit")]
        for customer in self.customers:
            links += [(customer.ce, "lan"), (customer.lan, "ce")]
        for node, device in links:
            node.ip(f"link set {device} mtu {ipv4}")
        for customer in self.customers:
            route_to_tunnel(customer, ipv6 - 40, "change")
