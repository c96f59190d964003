"""Where packets can end, and how many did: every counter on the way, before and after."""

from pathlib import Path

from cluster.fabric import Fabric
from lab.namespaces import Namespace

from .relays import RelayPod

# What relays count of packets that went no further.
RELAYS = (
    "culvert_dropped_packets_total", "culvert_tun_dropped_packets_total", "culvert_tun_write_errors_total",
    "culvert_interface_dropped_packets_total", "culvert_refused_packets_total",
)
SHOWN = ("reason", "direction", "family", "interface")  # labels that tell series apart

# What the kernel counts in each namespace of the fabric (/proc/net/snmp, snmp6, netstat).
KERNEL = {
    "IpInNoRoutes": "no IPv4 route in", "IpOutNoRoutes": "no IPv4 route", "IpInDiscards": "IPv4 discarded",
    "IpOutDiscards": "IPv4 discarded going out", "IpInAddrErrors": "IPv4 address wrong",
    "IpExtInNoRoutes": "no IPv4 route", "IpInHdrErrors": "IPv4 header, or its TTL ran out",
    "Ip6InHdrErrors": "IPv6 header, or its hop limit ran out",
    "Ip6InNoRoutes": "no IPv6 route in", "Ip6OutNoRoutes": "no IPv6 route", "Ip6InDiscards": "IPv6 discarded",
    "Ip6OutDiscards": "IPv6 discarded going out", "Ip6InAddrErrors": "IPv6 address wrong",
    "UdpNoPorts": "no socket", "UdpInCsumErrors": "UDP checksum", "UdpRcvbufErrors": "no room at the socket",
    "TcpInCsumErrors": "TCP checksum",
}
CHECKSUMS = ("UdpInCsumErrors", "TcpInCsumErrors")


class Ledger:
    """One reading of all of them: (place, counter) -> packets."""

    def __init__(self, fabric: Fabric, relays: list[RelayPod]):
        self.counts: dict[tuple[str, str], int] = {}
        for space in fabric.spaces.values():
            if space not in (fabric.control, *fabric.nodes.values()):
                self.counts |= {(space.node, name): value for name, value in kernel(space).items()}
        for relay in relays:
            self.counts |= {(relay.name, name): value for name, value in series(relay).items()}

    def since(self, before: "Ledger") -> dict[tuple[str, str], int]:
        """What has been counted between two readings."""
        changes = {key: value - before.counts.get(key, 0) for key, value in self.counts.items()}
        return {key: change for key, change in changes.items() if change}


def kernel(space: Namespace) -> dict[str, int]:
    with space.entered():
        read = {name: Path(f"/proc/thread-self/net/{name}").read_text() for name in ("snmp", "netstat", "snmp6")}
    found = {}
    for text in (read["snmp"], read["netstat"]):
        lines = text.splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=True):
            group = names.split(":")[0]
            found |= {group + name: int(value) for name, value in zip(names.split()[1:], values.split()[1:])}
    found |= {name: int(value) for name, value in map(str.split, read["snmp6"].splitlines())}
    return {name: found[name] for name in KERNEL if name in found}


def series(relay: RelayPod) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, labels, value in relay.metrics().series:
        if name in RELAYS:
            label = " ".join([name, *(labels[key] for key in SHOWN if key in labels)])
            found[label] = found.get(label, 0) + int(value)
    return found


def table(changes: dict[tuple[str, str], int]) -> str:
    return "\n".join(f"      {place}: {KERNEL.get(name, name)}: {count}" for (place, name), count in sorted(changes.items()))
