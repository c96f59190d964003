"""What customers and the fabric must never reach: the cluster that relays live in."""

import contextlib
import errno
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address

from cluster.fabric import API_ADDRESS, API_CLUSTER_IP, IPV4, INTERNET, node_address
from fleet.relays import ADMIN_PORT, SIDE4, SIDE6, RelayPod
from fleet.scene import Scene
from lab.lab import eventually
from lab.namespaces import Namespace
from lab.wire import Capture

REFUSED = "culvert_refused_packets_total"
METADATA = "169.254.169.254"  # where clouds tell a machine its secrets
ROUNDS = 3
PROBES = 2 * (1 + ROUNDS)  # what comes of one probe, if its port is the careless server's too


@dataclass(frozen=True)
class Target:
    what: str
    address: str
    port: int


def test_isolation(scene: Scene):
    """ClusterIP, nodes, metadata address and every address of the pod: from a CE and from the fabric nothing arrives, and
    counters say so"""
    relay = scene.start_fleet(1)[0]
    inside = relay.network()
    targets4, targets6 = targets(relay, inside)
    with CarelessServer(inside) as listen, hearing(scene, relay, inside) as heard, towards(scene, relay, targets4, targets6):
        senders = [("CE", scene.fabric.customer(1).lan, targets4), ("Internet", scene.fabric.internet, targets4),
                   ("core", scene.fabric.core, targets6)]
        check_listening(scene, relay, listen)
        for name, sender, aims in senders:
            before = refused(relay)
            with ThreadPoolExecutor(len(aims)) as pool:
                answers = zip(aims, pool.map(lambda target, sender=sender: probe(sender, target), aims))
            reached = [f"{target.what} ({target.address}): {how}" for target, hows in answers for how in hows]
            assert not reached, f"from {name}: {reached}"
            counted = refused(relay) - before
            scene.say(f"from {name}: {len(aims)} addresses, nothing arrived; {REFUSED} counted {counted}")
            assert counted >= len(aims), f"from {name}: {counted} refused:\n{relay.metrics()}"
        check_nothing_heard(scene, heard, relay, targets4)
        assert not listen.heard, f"a socket of the pod received: {listen.heard}"


def targets(relay: RelayPod, inside: Namespace) -> tuple[list[Target], list[Target]]:
    """Every address that there is to protect; those of the pod as the pod itself lists them."""
    number = int(relay.node.removeprefix("node"))
    four = [
        Target("API ClusterIP", str(API_CLUSTER_IP), 443),
        Target("API server", str(API_ADDRESS), 6443),
        Target("node", str(node_address(number)), 10250),
        Target("other node", str(node_address(3 - number)), 10250),
        Target("metadata", METADATA, 80),
    ]
    six = []
    for link in json.loads(inside.show("-json", "addr")):
        for entry in link["addr_info"]:
            address = ip_address(entry["local"])
            if address.is_loopback or address.is_link_local:
                continue
            (four if address.version == 4 else six).append(
                Target(f"pod's {link['ifname']}", str(address), ADMIN_PORT))
    assert {relay.ip, relay.addresses[SIDE4]} <= {target.address for target in four}, four
    assert relay.addresses[SIDE6] in {target.address for target in six}, six
    return four, six


@contextlib.contextmanager
def towards(scene: Scene, relay: RelayPod, four: list[Target], six: list[Target]):
    """Routers that were told, by mistake or malice, that all of these are behind the relay."""
    routers = [router.namespace for router in scene.fabric.routers]
    hop4, hop6 = relay.addresses[SIDE4], relay.addresses[SIDE6]
    routes4 = [target.address for target in four if target.address != hop4]
    routes6 = [target.address for target in six if target.address != hop6]
    for router in routers:
        router.ip(*(f"route add {address}/32 via {hop4}" for address in routes4),
                  *(f"route add {address}/128 via {hop6}" for address in routes6))
    try:
        yield
    finally:
        for router in routers:
            router.ip(*(f"route del {address}/32" for address in routes4),
                      *(f"route del {address}/128" for address in routes6))


class CarelessServer:
    """A server of the pod on all addresses, TCP and UDP, as a careless sidecar would open one."""

    PORT = 8099

    def __init__(self, inside: Namespace):
        self.tcp = inside.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.udp = inside.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.heard: list[str] = []

    def __enter__(self) -> "CarelessServer":
        for one in (self.tcp, self.udp):
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            one.bind(("::", self.PORT))
            one.settimeout(0.2)
        self.tcp.listen()
        self.going = True
        self.threads = [threading.Thread(target=self.work, args=(take,), daemon=True)
                        for take in (lambda: self.tcp.accept()[1], lambda: self.udp.recvfrom(100)[1])]
        for thread in self.threads:
            thread.start()
        return self

    def work(self, take) -> None:
        while self.going:
            with contextlib.suppress(TimeoutError):
                self.heard.append(str(take()))

    def __exit__(self, *error) -> None:
        self.going = False
        for thread in self.threads:
            thread.join(5)
        self.tcp.close()
        self.udp.close()


def check_listening(scene: Scene, relay: RelayPod, listen: CarelessServer) -> None:
    """The careless server is reached from the pod network: who does not reach it was kept out."""
    reached = probe(scene.fabric.control, Target("pod", relay.ip, relay_port := CarelessServer.PORT))
    assert any("connects" in how for how in reached) and eventually(lambda: len(listen.heard) == PROBES, 5), (
        f"port {relay_port} cannot be reached at all, so this test shows nothing: {reached}, {listen.heard}")
    listen.heard.clear()


def probe(sender: Namespace, target: Target) -> list[str]:
    """Tries TCP and UDP on its port and on the careless server's, and says what reached anybody. A reset would be the
    answer of a host that got the packet; an ICMP error of a router on the way is none."""
    family = socket.AF_INET if ip_address(target.address).version == 4 else socket.AF_INET6
    reached = []
    for port in (target.port, CarelessServer.PORT):
        with sender.socket(family, socket.SOCK_STREAM) as tcp:
            tcp.settimeout(0.3)
            try:
                tcp.connect((target.address, port))
                reached.append(f"TCP {port} connects")
            except ConnectionRefusedError:
                reached.append(f"TCP {port} resets")
            except OSError:
                pass
        with sender.socket(family, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.1)
            udp.connect((target.address, port))
            for _ in range(ROUNDS):
                try:
                    udp.send(b"anybody there?")
                    reached.append(f"UDP {port}: {udp.recv(100)!r}")
                except TimeoutError:
                    pass
                except OSError as error:
                    if error.errno == errno.ECONNREFUSED:
                        reached.append(f"UDP {port}: port unreachable")
    return reached


@contextlib.contextmanager
def hearing(scene: Scene, relay: RelayPod, inside: Namespace):
    """What goes over the pod network: at the pod's own end of it, and at the nodes' bridges."""
    heard = [Capture(inside, "eth0"), *(Capture(node.namespace, "cni0") for node in scene.cluster.nodes.values())]
    try:
        yield heard
    finally:
        for capture in heard:
            capture.close()


def check_nothing_heard(scene: Scene, heard: list[Capture], relay: RelayPod, four: list[Target]):
    """Nothing of a customer's or an Internet host's is on the pod network; what is there shows that it was listened to."""
    outside = {str(scene.fabric.customer(1).public), *map(str, (*INTERNET, *IPV4.routers))}
    assert eventually(lambda: relay.metrics() and heard[0].packets(), 5), "the capture hears nothing, so it shows nothing"
    for capture in heard:
        strangers = capture.packets(lambda packet: {str(packet.source), str(packet.destination)} & outside)
        assert not strangers, f"{capture.name}: {[str(packet.source) for packet in strangers[:5]]}"


def refused(relay: RelayPod) -> int:
    return relay.metrics().total(REFUSED)
