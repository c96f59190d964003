"""Domains that are wrong, that contradict each other, that ask for too much; and how they are mended."""

import copy

from fleet import manifests
from fleet.manifests import DOMAIN, FLEET, small_rule
from fleet.scene import Scene
from lab.lab import eventually

OVERLAP = [small_rule(1), small_rule(1) | {"name": "again"}]  # what lies between rules no schema can see


def test_invalid_conflicting_not_allowed(scene: Scene):
    """each bad domain has a condition that names the field, is repaired by an edit, and costs others no packet"""
    scene.start_fleet(2)
    with scene.traffic() as traffic:
        traffic.control()
        before = scene.ledger()
        with traffic.window("bad domains come and are mended") as window:
            invalid(scene)
            conflicting(scene)
            not_allowed(scene)
            no_fleet(scene)
            bad_field(scene)
        scene.lost_nothing(window, before)
    assert scene.object("BorderRelay", FLEET)["status"]["revision"]["domains"] == 5
    scene.expect("BorderRelay", FLEET, Accepted=True, Programmed=True, Ready=True)


def invalid(scene: Scene):
    """Two rules of one domain with the same prefix."""
    scene.apply(domain(scene, "invalid", rules=OVERLAP))
    scene.expect("MapDomain", "invalid", ("spec.rules[1]",), Accepted="Invalid", Programmed=False, Ready=False)
    scene.apply(domain(scene, "invalid", rules=[small_rule(1)]))
    works(scene, "invalid")


def conflicting(scene: Scene):
    """The customers' own prefix in another, younger domain: the older keeps working."""
    scene.apply(domain(scene, "conflicting", rules=copy.deepcopy(manifests.HALVES[:1])))
    found = scene.expect("MapDomain", "conflicting", (DOMAIN,), Conflicted=True, Accepted="Conflicted", Programmed=False)
    scene.say(f"conflict: {found['Conflicted']['message']}")
    works(scene, DOMAIN)
    scene.apply(domain(scene, "conflicting", rules=[small_rule(2)]))
    works(scene, "conflicting")
    assert "Conflicted" not in scene.conditions("MapDomain", "conflicting"), scene.told("MapDomain", "conflicting")


def not_allowed(scene: Scene):
    """A prefix and a BR address that the fleet may not serve."""
    rule = small_rule(3) | {"ipv4Prefix": "100.127.3.0/24"}
    scene.apply(domain(scene, "greedy", rules=[rule], softwireAddress="3001:db8:eeee::1"))
    scene.expect("MapDomain", "greedy", ("100.127.3.0/24",), Accepted="NotAllowed", Programmed=False)
    scene.expect("MapDomain", "greedy", ("3001:db8:eeee::1",), Accepted="NotAllowed")
    scene.apply(domain(scene, "greedy", rules=[small_rule(3)]))
    works(scene, "greedy")


def no_fleet(scene: Scene):
    """A fleet that is not there."""
    scene.apply(domain(scene, "lonely", rules=[small_rule(4)], relayRefs=[{"name": "nowhere"}]))
    scene.expect("MapDomain", "lonely", ("spec.relayRefs[0].name: nowhere",), Accepted="NoFleet", Programmed=False, Ready=False)
    scene.apply(domain(scene, "lonely", rules=[small_rule(4)], relayRefs=[{"name": FLEET}]))
    works(scene, "lonely")


def bad_field(scene: Scene):
    """A number out of bounds: the API server refuses it, or the condition names it."""
    bad = domain(scene, "out-of-bounds", rules=[small_rule(5)], mtu={"v6": 1279})
    done = scene.cluster.try_kubectl("apply", "-f", "-", stdin=manifests.text(bad))
    assert done.returncode != 0 and "mtu.v6" in done.stderr, done.stderr + done.stdout


def works(scene: Scene, name: str):
    scene.expect("MapDomain", name, Accepted=True, Programmed=True, Ready=True)


def domain(scene: Scene, name: str, **spec) -> dict:
    return manifests.domain(scene.name, name, **spec)


def test_delete_and_recreate(scene: Scene):
    """a domain, then the fleet, is deleted and made again: nothing of the deleted is left, and traffic flows as before"""
    scene.start_fleet(2)
    cross(scene, "before")
    scene.kubectl("delete", "mapdomain", DOMAIN, "--timeout=30s")
    assert eventually(lambda: all(not relay.state()["domains"] for relay in scene.relays()), 30), "relays still have it"
    scene.apply(manifests.domain(scene.name))
    works(scene, DOMAIN)
    cross(scene, "the domain is back")
    scene.kubectl("delete", "borderrelay", FLEET, "--timeout=60s")
    left = ("get", "deployments,pods,configmaps,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies",
            "--selector", f"app.kubernetes.io/instance={FLEET}", "-o", "name")
    assert eventually(lambda: not scene.kubectl(*left).strip(), 60), f"left: {scene.kubectl(*left)}"
    scene.expect("MapDomain", DOMAIN, (f"name: {FLEET}",), Accepted="NoFleet", Programmed=False, Ready=False)
    scene.start_fleet(2)
    cross(scene, "the fleet is back")


def cross(scene: Scene, when: str):
    with scene.traffic() as traffic:
        traffic.control(2)
    scene.say(f"traffic flows: {when}")
