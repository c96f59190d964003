"""Network policies: which ports a pod's say, which ports it has open; and one way to enforce them, so that they are tried.

The cluster's own network enforces none. `enforced` writes a pod's policies as nftables rules into its network namespace, for the
interface of the pod network: the other interfaces are none of a NetworkPolicy's business.
"""

import contextlib
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cluster.cluster import Cluster
from cluster.fabric import pod_network
from lab.namespaces import command

from .relays import PodNetwork, processes

LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}  # TCP_LISTEN, and a socket that has no peer
EPHEMERAL = 32768  # from here on the kernel chooses ports for who asks (ip_local_port_range)


@dataclass(frozen=True, order=True)
class Open:
    """A port at which anything may arrive. No address is any address."""

    protocol: str
    port: int
    address: str = ""

    def __str__(self) -> str:
        return f"{self.protocol} {self.address or '*'} port {self.port}"


class Guarded:
    """A pod, and the policies that select it."""

    def __init__(self, cluster: Cluster, pod: dict):
        self.cluster, self.pod = cluster, pod
        self.name, self.namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        self.ip = pod["status"]["podIP"]
        self.network = PodNetwork(self.name, processes(pod["metadata"]["uid"])[0])
        found = cluster.get("networkpolicies", "--namespace", self.namespace)["items"]
        self.policies = [policy["spec"] for policy in found if selects(policy["spec"]["podSelector"], pod["metadata"]["labels"])]

    def named(self) -> set[Open]:
        """The ports that somebody may reach by the policies."""
        assert any("Ingress" in policy["policyTypes"] for policy in self.policies), f"{self.name}: no policy, so all is open"
        return {self.port(port) for policy in self.policies for rule in policy.get("ingress", []) for port in rule["ports"]}

    def port(self, written: dict) -> Open:
        containers = [*self.pod["spec"].get("initContainers", []), *self.pod["spec"]["containers"]]
        numbers = {port["name"]: port["containerPort"] for one in containers for port in one.get("ports", [])}
        return Open(written["protocol"], numbers.get(written["port"], written["port"]))

    def open(self) -> set[Open]:
        """What listens, but for the pod itself alone."""
        return {one for one in sockets(self.network.pid) if not (one.address and ip_address(one.address).is_loopback)}

    def raw_sockets(self) -> list[str]:
        """Those that see packets whatever their port is."""
        return [line for kind in ("raw", "raw6", "packet")
                for line in Path(f"/proc/{self.network.pid}/net/{kind}").read_text().splitlines()[1:]]

    @contextlib.contextmanager
    def enforced(self):
        """From now on nothing else arrives, and nothing else leaves."""
        command(*self.network.argv("nft", "-f", "-"), stdin=self.rules())
        try:
            yield
        finally:
            command(*self.network.argv("nft", "delete", "table", "inet", "policies"))

    def rules(self) -> str:
        """As nftables has them. A node always reaches its own pods: probes are the kubelet's."""
        node = next(iter(pod_network(int(self.pod["spec"]["nodeName"].removeprefix("node"))).hosts()))
        ingress = [f"ip saddr {node} accept", *self.lines("ingress", "from", "saddr")]
        return "\n".join([
            "table inet policies {",
            *chain("input", "iifname", ingress),
            *chain("output", "oifname", self.lines("egress", "to", "daddr")),
            "}\n",
        ])

    def lines(self, way: str, peers: str, address: str) -> list[str]:
        policies = [policy for policy in self.policies if way.capitalize() in policy["policyTypes"]]
        if not policies:
            return ["accept"]
        found = []
        for rule in (rule for policy in policies for rule in policy.get(way, [])):
            ports = ", ".join(str(self.port(port).port) for port in rule["ports"])
            who = f"ip {address} {{ {', '.join(self.addresses(rule[peers]))} }} " if peers in rule else ""
            found.append(f"{who}tcp dport {{ {ports} }} accept")
        return found

    def addresses(self, peers: list[dict]) -> list[str]:
        """Of all pods that are meant."""
        pods = self.cluster.get("pods", "--all-namespaces")["items"]
        labels = {one["metadata"]["name"]: one["metadata"]["labels"] for one in self.cluster.get("namespaces")["items"]}
        return [pod["status"]["podIP"] for peer in peers for pod in pods if "podIP" in pod["status"]
                and selects(peer["namespaceSelector"], labels[pod["metadata"]["namespace"]])
                and selects(peer.get("podSelector", {}), pod["metadata"].get("labels", {}))]


def chain(hook: str, interface: str, accepted: list[str]) -> list[str]:
    """Connections that are there go on: what begins one is what is judged, so that nothing has to be tracked."""
    begun = "tcp flags & (syn | ack) != syn accept"
    first = [f"type filter hook {hook} priority 0", f'{interface} != "eth0" accept', begun]
    return [f"chain {hook} {{", *first, *accepted, "counter drop", "}"]


def selects(selector: dict, labels: dict) -> bool:
    assert not set(selector) - {"matchLabels"}, f"{selector}: only matchLabels are understood here"
    return selector.get("matchLabels", {}).items() <= labels.items()


def sockets(pid: int) -> set[Open]:
    """Those of the network namespace of a process, as the kernel lists them."""
    found = set()
    for kind, state in LISTENS.items():
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            local, _, is_in = line.split()[1:4]
            if is_in == state:
                address, port = local.split(":")
                found.add(Open(kind.rstrip("6").upper(), int(port, 16), address_of(address)))
    return found


def address_of(text: str) -> str:
    """/proc has addresses as 32-bit words in the machine's own order."""
    words = [int(text[at:at + 8], 16) for at in range(0, len(text), 8)]
    raw = struct.pack(f"={len(words)}I", *words)
    address = ip_address(raw)
    return "" if address.is_unspecified else str(address)
