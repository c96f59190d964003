"""A customer: a MAP-E CE made of unmodified Linux, and the network behind it.

Two namespaces. `lanN` is the customer's host, 192.168.1.10, and the NAPT44 into the CE's port set (nftables). `ceN` is
the softwire: it encapsulates with a seg6 lightweight tunnel (`encap.red` with one segment is plain IPv4 in IPv6) and
decapsulates with seg6local End.DX4. They are two because lightweight tunnels bypass netfilter, but for a sysctl that
changes the whole machine.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from .mape import Rule
from .namespaces import Namespace, command

LAN_HOST = IPv4Address("192.168.1.10")
TUNNEL_MTU = 1460  # what fits IPv6 packets of 1500
BEHIND_CE = "192.0.0.2"  # the link between the two namespaces, never seen outside (RFC 7335)
CE_INSIDE = "192.0.0.1"


@dataclass
class Customer:
    """Where a customer is, and what it owns."""

    number: int
    lan: Namespace
    ce: Namespace
    public: IPv4Address
    psid: int
    prefix: IPv6Network
    address: IPv6Address
    ports: list[range]

    @property
    def port(self) -> int:
        """A port of the CE's own: the first customer's is 6600, as in the capture that Culvert has to reproduce."""
        return self.ports[0].start + 8


def make_customer(number: int, rule: Rule, public: str, psid: int, new_node) -> Customer:
    address = IPv4Address(public)
    return Customer(
        number=number,
        lan=new_node(f"lan{number}"),
        ce=new_node(f"ce{number}"),
        public=address,
        psid=psid,
        prefix=rule.end_user_prefix(address, psid),
        address=rule.ce_address(address, psid),
        ports=rule.ports(psid),
    )


def connect_customer(customer: Customer, core: Namespace, br_address: IPv6Address) -> None:
    """Links a customer to the core router, and makes its softwire to the border relay."""
    link = f"2001:db8:0:{customer.number}::"
    core.ip(
        f"link add ce{customer.number} type veth peer name core netns {customer.ce.name}",
        f"addr add {link}1/64 dev ce{customer.number} nodad",
        f"link set ce{customer.number} up",
    )
    customer.ce.ip(
        f"addr add {link}2/64 dev core nodad",
        "link set core up",
        f"route add default via {link}1",
    )
    core.ip(f"route add {customer.prefix} via {link}2")
    connect_lan(customer)
    connect_softwire(customer, br_address)


def connect_lan(customer: Customer) -> None:
    """The customer's host: every packet leaves through NAPT, what comes unasked reaches the host."""
    customer.ce.ip(f"link add lan type veth peer name ce netns {customer.lan.name}")
    customer.lan.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__default__rp_filter=0)
    customer.lan.ip(
        f"addr add {LAN_HOST}/32 dev lo",
        f"addr add {BEHIND_CE}/29 dev ce",
        "link set ce up",
    )
    route_to_tunnel(customer, TUNNEL_MTU)
    command(*customer.lan.argv("nft", "-f", "-"), stdin=napt(customer))


def route_to_tunnel(customer: Customer, mtu: int, how: str = "add") -> None:
    """The host's way out. The softwire itself cuts nothing: what is sent must fit it. But for that the host believes in
    1500 everywhere: it offers MSS 1460, and learns of the tunnel from the relay alone."""
    customer.lan.ip(f"route {how} default via {CE_INSIDE} src {LAN_HOST} mtu {mtu} advmss 1460")


def napt(customer: Customer) -> str:
    """NAPT44 into the CE's port set, ICMP identifiers included. A port that is already in the set stays as it is."""
    public, ranges = customer.public, [f"{ports.start}-{ports.stop - 1}" for ports in customer.ports]
    jumps = ", ".join(f"{place} : goto range{place}" for place in range(len(ranges)))
    keeps = ", ".join(f"{ports} : goto range{place}" for place, ports in enumerate(ranges))
    chains = "\n".join(
        f"""chain range{place} {{
            meta l4proto tcp snat to {public}:{ports}
            meta l4proto udp snat to {public}:{ports}
            meta l4proto icmp snat to {public}:{ports}
        }}"""
        for place, ports in enumerate(ranges)
    )
    return f"""table ip napt {{
        {chains}
        chain out {{
            type nat hook postrouting priority srcnat
            oifname != "ce" accept
            th sport vmap {{ {keeps} }}
            numgen inc mod {len(ranges)} vmap {{ {jumps} }}
        }}
        chain in {{
            type nat hook prerouting priority dstnat
            iifname "ce" ip daddr {public} dnat to {LAN_HOST}
        }}
    }}"""


def connect_softwire(customer: Customer, br_address: IPv6Address) -> None:
    """The softwire to the border relay (the link `core` is there)."""
    customer.ce.sysctl(
        ipv4__ip_forward=1,
        ipv4__conf__all__rp_filter=0,
        ipv4__conf__default__rp_filter=0,
        ipv4__conf__lan__rp_filter=0,
        ipv4__conf__core__rp_filter=0,
        ipv4__conf__lan__accept_local=1,  # from behind the CE come packets from its own public address
        ipv4__conf__core__accept_local=1,  # and, hairpinned, from another CE that shares it
        ipv4__icmp_ratelimit=0,
        ipv6__conf__all__forwarding=1,
        ipv6__conf__all__seg6_enabled=1,
        ipv6__conf__core__seg6_enabled=1,
    )
    customer.ce.run("ip", "sr", "tunsrc", "set", str(customer.address))
    encapsulate = f"encap seg6 mode encap.red segs {br_address} dev core src {customer.public}"
    customer.ce.ip(
        f"addr add {customer.public}/32 dev lo",
        f"addr add {CE_INSIDE}/29 dev lan",
        "link set lan up",
        f"route add default {encapsulate}",
        # What comes from the LAN leaves by the tunnel, even to our own public address: that may be another CE's port.
        f"route add local {CE_INSIDE} dev lo table 10",
        f"route add default {encapsulate} table 10",
        "rule add pref 10 iif lan lookup 10",
        "rule add pref 20 lookup local",
        "rule del pref 0",
        # End.DX4 routes by nh4 but resolves the packet's own destination on a connected route, hence the gateway.
        f"route add {LAN_HOST} via {BEHIND_CE}",
        f"route add {customer.address}/128 encap seg6local action End.DX4 nh4 {LAN_HOST} dev core",
    )


def reassemble_outer(customer: Customer) -> None:
    """Has the CE put IPv6 fragments together before the softwire sees them, which takes fragments as they come: a rule
    that asks for a connection's state brings in the kernel's IPv6 defragmentation."""
    rules = "table ip6 outer {\n chain in {\n type filter hook prerouting priority raw\n ct state invalid counter\n }\n}\n"
    command(*customer.ce.argv("nft", "-f", "-"), stdin=rules)
