"""Culvert comes and goes; relays stay."""

from fleet import manifests
from fleet.manifests import DOMAIN, HALVES, small_rule
from fleet.scene import Scene
from lab.lab import eventually


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
