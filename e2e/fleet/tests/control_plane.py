"""Traffic needs neither operator nor API server nor etcd."""

import signal
import time

from fleet import manifests
from fleet.faults import starts_by_what_it_kept
from fleet.manifests import DOMAIN, FLEET, HALVES, small_rule
from fleet.scene import Scene
from lab.lab import eventually

ON_THE_WAY = 1  # seconds for packets that the router has sent already: a fleet's drain.withdrawSeconds


def test_operator_killed(scene: Scene):
    """the leading operator is killed under traffic: nothing is lost, another takes over, what was applied is programmed"""
    scene.start_fleet(2)
    culvert = scene.culvert
    with scene.traffic() as traffic:
        traffic.control()
        before = scene.ledger()
        with traffic.window("the leading operator is killed") as window:
            assert eventually(culvert.leader, 30), "nobody leads"
            leader = culvert.leader()
            scene.cluster.kubectl("--namespace", "culvert-operator", "delete", "pod", leader, "--grace-period=0", "--force")
            scene.apply(manifests.domain(scene.name, rules=[*HALVES, small_rule(7)]))
            scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True, Ready=True)
            assert eventually(lambda: culvert.leader() not in (None, leader), 30), f"nobody leads after {leader}"
        scene.lost_nothing(window, before)
    culvert.wait_operators(2)


def test_control_plane_away(scene: Scene):
    """API server, etcd and operator are away, and relays are killed meanwhile: each starts again by what it kept, nothing is
    lost; when they are back, changes arrive"""
    relays = scene.start_fleet(2)
    control, culvert = scene.cluster.control, scene.culvert
    with scene.traffic() as traffic:
        traffic.control()
        culvert.scale(0)
        culvert.wait_operators(0)
        for program in ("kube-apiserver", "etcd"):
            control.stop(program, signal.SIGKILL)
        try:
            assert not scene.cluster.api_answers(), "the API server answers though it was killed, so this shows nothing"
            with traffic.window("API server, etcd and operator are away") as away:
                traffic.pause(4)
            with traffic.window("relays are killed one by one meanwhile") as killed:
                for relay, other in (relays, relays[::-1]):
                    restart(scene, relay, other)
                scene.spread(relays)
                traffic.pause(2)
        finally:
            control.start("etcd")
            scene.cluster.start_api_server()
        with traffic.window("they are back") as back:
            scene.cluster.wait_ready()
            culvert.scale(2)
            culvert.wait_operators(2)
            scene.apply(manifests.domain(scene.name, rules=[*HALVES, small_rule(8)]))
            scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True, Ready=True)
            scene.expect("BorderRelay", FLEET, Programmed=True, Ready=True)
    for window in (away, killed, back):
        assert not window.lost() and not window.unfinished, window.detail()
    after = scene.relays()
    assert {relay.uid for relay in after} == {relay.uid for relay in relays}, "the pods are others"


def restart(scene: Scene, relay, other) -> None:
    """Kills a relay that gets no traffic, as after its routes were withdrawn; the kubelet starts it again."""
    scene.spread([other])
    time.sleep(ON_THE_WAY)
    starts_by_what_it_kept(scene, relay, [relay.process()])
