"""What happens to clusters, under counted traffic: what each may cost is in docs/reliability.md beforehand."""

import contextlib
import signal
import time
from typing import Iterator

from cluster.fabric import SEGMENTS
from fleet import clock, disk, manifests
from fleet.faults import (
    DAY, change_arrives, containers, cut_off, kill, leading, log_lines, pod_processes, programs_of, start, starts_again,
)
from fleet.manifests import FLEET
from fleet.promises import promises, traffic
from fleet.relays import RelayPod
from fleet.scene import Scene, pause
from lab.lab import eventually

from . import revisions

WITHOUT_ETCD = 20
WITHOUT_API = 180
STATE = "/var/lib/culvert"


def test_table_of_faults(_scene: Scene):
    """docs/reliability.md has a row for each test here and in revisions.py, and no other"""
    names = {*globals(), *vars(revisions)}
    tests = {name.removeprefix("test_").replace("_", "-") for name in names if name.startswith("test_")}
    rows = set(promises())
    assert rows == tests - {"table-of-faults"}, f"only in one of both: {rows ^ tests}"


# The control plane


def test_etcd_restarted(scene: Scene):
    """etcd is killed, and back after 20 s: relays are the same afterwards, and changes arrive"""
    relays = start(scene)
    control = scene.cluster.control
    with traffic(scene) as trial, trial.fault(f"etcd away for {WITHOUT_ETCD} s"):
        control.stop("etcd", signal.SIGKILL)
        time.sleep(WITHOUT_ETCD)
        control.start("etcd")
        assert eventually(lambda: pause(scene.cluster.api_answers), 60), "the API server does not find etcd again"
        change_arrives(scene, relays, 2)
    assert containers(scene) == containers(scene, relays), "a relay was restarted"


def test_api_server_away(scene: Scene):
    """the API server is away for three minutes: relays forward, operators end and wait; when it is back, changes arrive"""
    relays = start(scene)
    with traffic(scene) as trial, trial.fault(f"API server away for {WITHOUT_API} s"):
        with without_api_server(scene):
            time.sleep(WITHOUT_API)
        scene.culvert.wait_operators(2)
        change_arrives(scene, relays, 16)
    assert containers(scene) == containers(scene, relays), "a relay was restarted"


def test_cold_start(scene: Scene):
    """the API server is away when a relay is killed, then all of another pod: each starts again by what it kept, and announces"""
    relays = start(scene)
    one, other = relays
    with traffic(scene) as trial:
        with without_api_server(scene):
            with trial.fault("a relay killed while the API server is away"):
                starts_again(scene, relays, one, [one.process()])
            with trial.fault("relay, speaker and BIRD of a pod killed while it is away"):
                starts_again(scene, relays, other, programs_of(other.uid))
        with trial.nothing("the API server is back"):
            scene.culvert.wait_operators(2)
            change_arrives(scene, relays, 17)
    assert {relay.uid for relay in scene.relays()} == {relay.uid for relay in relays}, "the pods are others"


@contextlib.contextmanager
def without_api_server(scene: Scene) -> Iterator[None]:
    scene.cluster.control.stop("kube-apiserver", signal.SIGKILL)
    try:
        assert not scene.cluster.api_answers(), "the API server answers though it was killed, so this shows nothing"
        yield
    finally:
        scene.cluster.start_api_server()


# Operators


def test_operators_killed(scene: Scene):
    """both operators are killed at once, and a domain changes while nobody leads: it arrives"""
    relays = start(scene)
    pods = scene.culvert.operators()
    with traffic(scene) as trial, trial.fault("both operators killed"):
        for pod in pods:
            kill(pod_processes(pod["metadata"]["uid"]))
        change_arrives(scene, relays, 4)
        scene.culvert.wait_operators(2)
    assert containers(scene) == containers(scene, relays), "a relay was restarted"


def test_leader_cut_off(scene: Scene):
    """the leader loses its way to the API server: it has stopped before the other begins, and changes arrive by that"""
    relays = start(scene)
    culvert, leader = scene.culvert, leading(scene)
    name = leader["metadata"]["name"]
    with traffic(scene) as trial, trial.fault("leader cut off from the API server"), cut_off(scene, leader):
        assert eventually(lambda: pause(lambda: culvert.leader() not in (None, name)), 60), f"nobody leads after {name}"
        successor = culvert.leader()
        change_arrives(scene, relays, 5)
    stopped = log_lines(scene, name, "leads no more")[-1]
    began = log_lines(scene, successor, "leading")[-1]
    scene.say(f"the leader stopped at {stopped}, the other began at {began}")
    assert stopped < began, f"{name} led until {stopped}, {successor} since {began}"
    culvert.wait_operators(2)


# Nodes


def test_node_programs(scene: Scene):
    """containerd and kubelet of a node are killed, and started again: its relay goes on, and what is to be is done there"""
    relays = start(scene)
    node = scene.cluster.nodes[1]
    with traffic(scene) as trial, trial.fault("containerd and kubelet killed and restarted"):
        for program in ("kubelet", "containerd"):
            node.stop(program, signal.SIGKILL)
        time.sleep(5)
        for program in ("containerd", "kubelet"):
            node.start(program)
        change_arrives(scene, relays, 6)
        scene.start_pod("probe", node.number)
        scene.wait_ready("probe")
    assert containers(scene) == containers(scene, relays), "a relay was restarted"


def test_node_lost(scene: Scene):
    """the power of the leading operator's node is cut: changes arrive at the relay that is left; when the node is back, so is
    its relay"""
    relays = start(scene)
    node = leading(scene)["spec"]["nodeName"]
    lost, left = sorted(relays, key=lambda relay: relay.node != node)
    node = next(one for one in scene.cluster.nodes.values() if one.name == lost.node)
    with traffic(scene) as trial:
        with trial.fault("a node lost"):
            links(scene, node.name, "down")
            node.machine.kill()
            scene.expect_paths([left])
            scene.apply(manifests.domain(scene.name, rules=[*manifests.HALVES, manifests.small_rule(7)]))
            arrived = eventually(lambda: pause(lambda: left.state()["revision"]["rules"] == 3), 60)
            assert arrived, f"the change has not arrived: {left.state()['revision']}"
            scene.expect("BorderRelay", FLEET, (lost.name,), Ready=True, Programmed=False)
        with trial.nothing("the node is back"):
            links(scene, node.name, "up")
            node.boot_again()
            wait_started_again(scene, lost)
            scene.expect_announced(scene.wait_relays(2))
            scene.expect("BorderRelay", FLEET, Ready=True, Programmed=True, Advertised=True)


def wait_started_again(scene: Scene, lost: RelayPod) -> None:
    """Until then the API server has the pod as it was: ready, at the addresses it had."""

    def started() -> bool:
        return any(relay.ready and relay.uid == lost.uid and relay.containers != lost.containers for relay in scene.relays())

    assert eventually(lambda: pause(started), 120), scene.kubectl("get", "pods", "-o", "wide")


def links(scene: Scene, node: str, how: str) -> None:
    ports = [f"{node}-{device}" for side in SEGMENTS for device in side.devices]
    scene.fabric.switch.ip(*(f"link set {port} {how}" for port in ports))
    scene.fabric.control.ip(f"link set {node} {how}")


def test_disk_full(scene: Scene):
    """a relay cannot keep what it forwards by: it forwards by it all the same, the condition says why; later it keeps it"""
    relays = start(scene)
    full, _ = relays
    with traffic(scene) as trial, trial.fault("a relay's disk full"):
        with disk.full(full.process(), STATE):
            change_arrives(scene, relays, 8)
            lacks = eventually(lambda: pause(lambda: full.state()["obstacles"]), 10)
            assert [obstacle["reason"] for obstacle in lacks] == ["StateDirUnusable"], lacks
            scene.expect("BorderRelay", FLEET, (full.name, "state directory"), Degraded=True)
        change_arrives(scene, relays, 9)
        assert eventually(lambda: pause(lambda: not full.state()["obstacles"]), 10), full.state()["obstacles"]
    assert containers(scene) == containers(scene, relays), "a relay was restarted"


def test_clock_jumps(scene: Scene):
    """a leader's and a relay's pods, BIRD included, live a day later, then a day earlier, then right again"""
    relays = start(scene)
    leader = leading(scene)
    programs = [*programs_of(leader["metadata"]["uid"]), *programs_of(relays[0].uid)]
    assert len(programs) == 4, f"operator, relay, speaker and BIRD: {programs}"
    with traffic(scene) as trial, trial.fault("clocks a day ahead, a day behind, right again"):
        for number, seconds in enumerate((DAY, -DAY, 0), start=10):
            for pid in programs:
                clock.jump(pid, seconds)
            change_arrives(scene, relays, number)
            since = relays[0].state()["revision"]["since"]
            there = time.strftime("%Y-%m-%d", time.gmtime(time.time() + seconds))
            assert since.startswith(there), f"the relay's time is {since}: the clock was not moved"
            trial.scene.say(f"{seconds:+} s: a change arrives, the relay has it since {since}")
            time.sleep(5)
        assert leading(scene)["metadata"]["name"] == leader["metadata"]["name"], "another leads"
    assert containers(scene) == containers(scene, relays), "a relay was restarted"