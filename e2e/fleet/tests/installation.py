"""Culvert comes and goes; relays stay."""

import contextlib
import json

from cluster.fabric import IPV6
from fleet import manifests
from fleet.installation import NAMESPACE
from fleet.manifests import DOMAIN, HALVES, small_rule
from fleet.relays import SIDE4, SIDE6
from fleet.scene import Scene
from lab.lab import eventually

HELMS = ("helm", "helm3")
TEST = "culvert-test"  # the pod of `helm test`, and its fleet
NETWORKS = [
    {"name": SIDE4, "side": "IPv4", "network": "default/ipv4"},
    {"name": SIDE6, "side": "IPv6", "network": "default/ipv6"},
]


def test_uninstall(scene: Scene):
    """`helm uninstall culvert` under traffic: relays go on; installed again, it finds them as they are; the types outlive
    their chart, and with the objects everything is gone"""
    relays = scene.start_fleet(2)
    started = {relay.uid: relay.containers for relay in relays}
    with scene.traffic() as traffic:
        traffic.control()
        before = scene.ledger()
        with traffic.window("helm uninstall culvert, culvert-crds; helm install") as window:
            scene.culvert.uninstall("culvert")
            scene.culvert.wait_operators(0)
            scene.culvert.uninstall("culvert-crds")
            assert scene.object("MapDomain", DOMAIN), "the domain went with the chart"
            scene.culvert.install()
            scene.apply(manifests.domain(scene.name, rules=[*HALVES, small_rule(9)]))
            scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True, Ready=True)
        scene.lost_nothing(window, before)
    assert {relay.uid: relay.containers for relay in scene.relays()} == started, "the pods are others, or were restarted"
    scene.kubectl("delete", "borderrelay,mapdomain", "--all", "--timeout=60s")
    assert eventually(lambda: not scene.relays(), 60), "relays are left"
    scene.culvert.uninstall("culvert")
    roles = scene.cluster.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")
    assert "culvert-operator" not in roles, roles


def test_helm_test(scene: Scene):
    """`helm test` of both Helms: as installed, in a `restricted` namespace; with a network for each family, and with one for both,
    where packets of two sizes cross two relays of its own, both ways; a fleet beside them loses nothing, and nothing stays but
    the test's pod, for its log"""
    for helm in HELMS:
        done = scene.culvert.try_helm("test", "culvert", "--namespace", NAMESPACE, "--logs", helm=helm)
        assert done.returncode == 0 and "so no packet was sent" in done.stdout, f"{helm}: {done.stdout}{done.stderr}"
    scene.cluster.kubectl("--namespace", NAMESPACE, "delete", "pod", TEST)
    scene.apply(one_network(scene.name))
    scene.start_fleet(2)
    with scene.traffic(connections=0) as traffic:
        traffic.control()
        before = scene.ledger()
        with traffic.window("helm test") as window:
            passes(scene, "helm", NETWORKS)
            passes(scene, "helm3", [{"name": SIDE4, "network": "both"}])
        scene.lost_nothing(window, before)


def passes(scene: Scene, helm: str, interfaces: list[dict]) -> None:
    with scene.culvert.with_test(interfaces=interfaces, namespace=scene.name, relays=2):
        done = scene.culvert.try_helm("test", "culvert", "--namespace", NAMESPACE, helm=helm)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{helm}: {said}{told(scene)}"
    assert all(word in said for word in ("on node1", "on node2", "all is well")), f"{helm}: {said}"
    crossed = [said.count(f"crossed {way} CE, {size} bytes") for way in ("from", "to") for size in (100, 1460)]
    assert crossed == [2, 2, 2, 2], f"{helm}: {said}"
    assert scene.kubectl("get", "borderrelay,mapdomain", TEST, "--ignore-not-found") == ""
    scene.say(f"{helm} test:\n" + scene.kubectl("logs", TEST))


def one_network(namespace: str) -> dict:
    """A network that gives addresses of both families, with no router on it that knows the IPv4 ones."""
    ranges = [[{"subnet": "192.0.2.0/24"}], [{"subnet": str(IPV6.network), "rangeStart": "2001:db8:100::9:0", "rangeEnd": "2001:db8:100::9:ff"}]]
    forwarding = {"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.IFNAME.rp_filter": "0",
                  "net.ipv6.conf.all.forwarding": "1"}
    plugins = [
        {"type": "macvlan", "master": IPV6.name, "mode": "bridge", "ipam": {"type": "host-local", "ranges": ranges}},
        {"type": "tuning", "sysctl": forwarding},
    ]
    return {
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "both", "namespace": namespace},
        "spec": {"config": json.dumps({"cniVersion": "1.0.0", "plugins": plugins})},
    }


def test_helm_test_fails(scene: Scene):
    """`helm test` fails where relays' IPv6 segment is silent, and where it carries less than it says: it prints which side, or which
    packets in which direction, and why; what it made is there to be looked at, and goes with its pod"""
    with scene.culvert.with_test(interfaces=NETWORKS, namespace=scene.name, timeoutSeconds=15):
        with narrow(scene, "node1-ipv6"):
            fails(scene, "crossed from CE, 100 bytes", "LOST from CE, 1460 bytes", "LOST to CE, 1460 bytes", "compare MTUs")
        with silent(scene, "node1-ipv6", "node2-ipv6"):
            how_to_look = f"kubectl -n {scene.name} describe borderrelay,mapdomain {TEST}"
            fails(scene, "0 of 1 relays are ready", "NextHopDown", "no IPv6 next hop answers", how_to_look)
    assert scene.object("BorderRelay", TEST)
    scene.kubectl("delete", "pod", TEST)
    gone = eventually(lambda: scene.kubectl("get", "borderrelay,mapdomain", TEST, "--ignore-not-found") == "", 60)
    assert gone, "the fleet outlives the test's pod"


@contextlib.contextmanager
def narrow(scene: Scene, port: str):
    """A port of the switch that drops large frames, as one with another MTU does."""
    scene.fabric.switch.ip(f"link set {port} mtu 1400")
    try:
        yield
    finally:
        scene.fabric.switch.ip(f"link set {port} mtu 1500")


@contextlib.contextmanager
def silent(scene: Scene, *ports: str):
    scene.fabric.silence(*ports)
    try:
        yield
    finally:
        scene.fabric.unsilence()


def fails(scene: Scene, *words: str) -> None:
    done = scene.culvert.try_helm("test", "culvert", "--namespace", NAMESPACE)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and all(word in said for word in words), f"{words}: {said}{told(scene)}"
    scene.say(f"helm test:\n{said}")


def told(scene: Scene) -> str:
    """What a person would look at next."""
    return scene.kubectl("describe", "pods")
