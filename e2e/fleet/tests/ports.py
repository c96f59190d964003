"""Every port that a pod has open, and the network policies that name them."""

import contextlib
import socket
from dataclasses import dataclass

from cluster.fabric import API_ADDRESS, API_CLUSTER_IP, node_address
from fleet import manifests
from fleet.manifests import DOMAIN, FLEET, HALVES, small_rule
from fleet.policies import EPHEMERAL, Guarded, Open
from fleet.relays import ADMIN_PORT, SPEAKER_PORT, SIDE4, SIDE6, RelayPod
from fleet.scene import Scene, pause
from lab.lab import eventually
from lab.namespaces import Namespace

OTHER = "second"  # a fleet without BGP
BGP, BFD = Open("TCP", 179), Open("UDP", 3784)
METRICS_PORT = 8080  # the operator's
NAME = "kubernetes.io/metadata.name"  # which the API server labels each namespace with
NOBODYS = 8099  # a port that no policy names


def test_open_ports(scene: Scene):
    """each port that relays and operators listen at is named in their network policy, or is BGP's or BFD's on a segment; each
    port of a policy is listened at"""
    scene.apply(manifests.fleet(scene.name, OTHER, replicas=1))
    scene.start_fleet(1, bgp=manifests.bgp())
    scene.expect("BorderRelay", OTHER, Accepted=True, Programmed=True)
    for fleet, on_segments in ((FLEET, {BGP, BFD}), (OTHER, set())):
        [relay], [pod] = scene.relays(fleet), scene.relay_objects(fleet)
        sides = {relay.addresses[side] for side in (SIDE4, SIDE6)}
        scene.say(f"{fleet}: {check_pod(Guarded(scene.cluster, pod), sides, on_segments)}")
    for pod in scene.culvert.operators():
        scene.say(f"operator: {check_pod(Guarded(scene.cluster, pod), set(), set())}")


def check_pod(pod: Guarded, sides: set[str], on_segments: set[Open]) -> str:
    with pod.network.entered(), socket.create_server(("", NOBODYS)):
        assert Open("TCP", NOBODYS) in pod.open(), f"{pod.name}: an open port is not found, so this test shows nothing"
    found = pod.open()
    segments = {Open(one.protocol, one.port) for one in found if one.address in sides}
    asking = {one for one in segments if one.protocol == "UDP" and one.port >= EPHEMERAL}  # BFD's own packets leave by these
    assert segments - asking == on_segments, f"{pod.name} on segments: {segments}"
    elsewhere = {Open(one.protocol, one.port) for one in found if one.address not in sides}
    assert elsewhere == pod.named(), f"{pod.name}: open {sorted(elsewhere)}, named in policies {sorted(pod.named())}"
    assert not pod.raw_sockets(), f"{pod.name}: {pod.raw_sockets()}"
    return ", ".join(map(str, sorted(found)))


def test_policies_enforced(scene: Scene):
    """with every policy enforced, all that belongs together still finds each other, and a change arrives; what no policy names
    neither arrives nor leaves"""
    relay, pods = start(scene)
    space = relay.network()
    with space.entered():
        careless = socket.create_server(("", NOBODYS))
    with careless:
        wanted, unwanted = flows(scene, relay, pods)
        expect(wanted + unwanted)  # a control: so whoever is refused below is so by the policies
        with enforced(pods):
            expect(wanted, unwanted)
            change_arrives(scene)
    assert scene.relays()[0].containers == relay.containers, "a container was restarted: probes did not arrive"


def test_clients(scene: Scene):
    """with `relays.networkPolicy.from` and `networkPolicy.egress`: who is named and the operators reach relays' pages, and nobody
    else does; operators reach these and the API server, and nothing else"""
    relay, _ = start(scene)
    scene.pod("named", 1)
    scene.pod("stranger", 1)
    named = {"namespaceSelector": {"matchLabels": {NAME: scene.name}}, "podSelector": {"matchLabels": {"app": "named"}}}
    scene.culvert.upgrade(values={"relays": {"networkPolicy": {"from": [named]}}, "networkPolicy": {"egress": {"enabled": True}}})
    try:
        scene.culvert.wait_operators(2)
        assert eventually(lambda: pause(lambda: len(guarded(scene)[0].policies[0]["ingress"][0].get("from", [])) == 2), 30), (
            scene.kubectl("get", "networkpolicy", "-o", "yaml"))
        own, *operators = guarded(scene)
        who = {"named": own_of(scene, "named"), **{pod.name: pod for pod in operators}}
        wanted = [Flow(name, pod.network, relay.ip, port) for name, pod in who.items() for port in (ADMIN_PORT, SPEAKER_PORT)]
        strangers = {"stranger": own_of(scene, "stranger").network, "API server": scene.fabric.control}
        unwanted = [Flow(name, space, relay.ip, port) for name, space in strangers.items() for port in (ADMIN_PORT, SPEAKER_PORT)]
        wanted += [Flow("operator", pod.network, str(API_CLUSTER_IP), 443) for pod in operators]
        unwanted += [Flow("operator", pod.network, str(node_address(1)), 10250) for pod in operators]
        expect(wanted + unwanted)
        with enforced([own, *operators]):
            expect(wanted, unwanted)
            change_arrives(scene)
    finally:
        scene.culvert.upgrade()


def own_of(scene: Scene, name: str) -> Guarded:
    return Guarded(scene.cluster, scene.get("pod", name))


def start(scene: Scene) -> tuple[RelayPod, list[Guarded]]:
    """A fleet with one relay; the operators' pods stand behind its own."""
    [relay] = scene.start_fleet(1, bgp=manifests.bgp())
    return relay, guarded(scene)


def guarded(scene: Scene) -> list[Guarded]:
    return [Guarded(scene.cluster, pod) for pod in (*scene.relay_objects(), *scene.culvert.operators())]


@contextlib.contextmanager
def enforced(pods: list[Guarded]):
    with contextlib.ExitStack() as stack:
        for pod in pods:
            stack.enter_context(pod.enforced())
        yield


@dataclass(frozen=True)
class Flow:
    """A connection that somebody may want to open."""

    whose: str
    sender: Namespace
    address: str
    port: int

    def works(self) -> bool:
        with self.sender.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.settimeout(1)
            return tcp.connect_ex((self.address, self.port)) == 0

    def __str__(self) -> str:
        return f"{self.whose} to {self.address}:{self.port}"


def flows(scene: Scene, relay: RelayPod, pods: list[Guarded]) -> tuple[list[Flow], list[Flow]]:
    """Those that Culvert needs, and others that are possible."""
    own, *operators = pods
    kubelet = scene.cluster.nodes[int(relay.node.removeprefix("node"))].namespace
    wanted = [
        *(Flow("relay", own.network, address, port) for address, port in ((str(API_CLUSTER_IP), 443), (str(API_ADDRESS), 6443))),
        *(Flow("monitoring", scene.fabric.control, relay.ip, port) for port in (ADMIN_PORT, SPEAKER_PORT)),
        *(Flow("monitoring", scene.fabric.control, pod.ip, METRICS_PORT) for pod in operators),
        *(Flow("kubelet", kubelet, relay.ip, port) for port in (ADMIN_PORT, SPEAKER_PORT)),
        *(Flow("operator", pod.network, relay.ip, port) for pod in operators for port in (ADMIN_PORT, SPEAKER_PORT)),
    ]
    unwanted = [
        Flow("somebody", scene.fabric.control, relay.ip, NOBODYS),
        Flow("relay", own.network, str(node_address(1)), 10250),
        *(Flow("relay", own.network, pod.ip, METRICS_PORT) for pod in operators),
    ]
    return wanted, unwanted


def expect(wanted: list[Flow], unwanted: list[Flow] = ()) -> None:
    wrong = [f"{flow} does not work" for flow in wanted if not flow.works()]
    wrong += [f"{flow} works" for flow in unwanted if flow.works()]
    assert not wrong, wrong


def change_arrives(scene: Scene) -> None:
    """At the relay, by its word to the operator."""
    scene.apply(manifests.domain(scene.name, rules=[*HALVES, small_rule(20)]))
    scene.expect("MapDomain", DOMAIN, Programmed=True, Ready=True, Advertised=True)
