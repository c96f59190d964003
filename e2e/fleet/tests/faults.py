"""What happens to clusters, under counted traffic: what each may cost is in docs/reliability.md beforehand."""

import contextlib
import signal
import time
from typing import Iterator

from cluster.fabric import SEGMENTS
from fleet import clock, disk, manifests
from fleet.faults import (
    DAY, change_arrives, containers, cut_off, kill, leading, log_lines, pod_processes, read_index, write_index,
)
from fleet.manifests import DOMAIN, FLEET
from fleet.promises import promises, traffic
from fleet.relays import RelayPod, name_of
from fleet.scene import Scene, pause
from lab.lab import eventually

WITHOUT_ETCD = 20
WITHOUT_API = 180
REVISION = f"{FLEET}-revision"
STATE = "/var/lib/culvert"
OTHER = "second"  # a fleet
NEXT = "99.0.0"  # a release


def start(scene: Scene) -> list[RelayPod]:
    return scene.start_fleet(2, bgp=manifests.bgp())


def test_table_of_faults(_scene: Scene):
    """docs/reliability.md has a row for each test here, and no other"""
    tests = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
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


def starts_again(scene: Scene, relays: list[RelayPod], killed: RelayPod, programs: list[int]) -> None:
    """Kills these programs of a relay's pod; returns when it forwards and announces again, by what it had kept."""
    since = killed.state()["started"]
    kill(programs)
    started = eventually(lambda: pause(lambda: killed.is_ready() and killed.state()["started"] != since), 90)
    assert started, f"{killed.name} does not start again"
    source = killed.state()["revision"]["source"]
    assert source != "Api", f"the API server is away, and yet {killed.name} has its revision of it"
    scene.expect_announced(relays)
    scene.say(f"{killed.name} started again by {source}")


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
            lacks = [obstacle["reason"] for obstacle in full.state()["obstacles"]]
            assert lacks == ["StateDirUnusable"], full.state()["obstacles"]
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


def programs_of(pod: str) -> list[int]:
    """All processes of a pod but the one that only holds its namespaces."""
    return [pid for pid in pod_processes(pod) if name_of(pid) != "pause"]


# Revisions


def test_truncated(scene: Scene):
    """the ConfigMap is cut off by hand: relays go on by what they have, and the operator writes it again"""
    relays = start(scene)
    whole = revision(scene)
    with traffic(scene) as trial, trial.fault("ConfigMap truncated"):
        for _ in range(3):
            truncate(scene, whole)
            assert eventually(lambda: pause(lambda: revision(scene) == whole), 30), "the operator does not mend it"
        change_arrives(scene, relays, 13)
    assert not any(relay.state()["revisionError"] for relay in relays)


def test_truncated_for_long(scene: Scene):
    """the same while no operator is there to mend it, and a relay is killed meanwhile: it starts by what it had kept"""
    relays = start(scene)
    without_operators(scene)
    with traffic(scene) as trial:
        try:
            with trial.nothing("ConfigMap truncated, nobody mends it"):
                truncate(scene, revision(scene))
                expect_refusal(scene, relays, {"Incomplete"})
            with trial.fault("a relay killed meanwhile"):
                starts_again(scene, relays, relays[0], [relays[0].process()])
                expect_refusal(scene, relays, {"Incomplete"})
        finally:
            scene.culvert.scale(2)
        with trial.nothing("operators are back"):
            scene.culvert.wait_operators(2)
            change_arrives(scene, relays, 18)
    assert not any(relay.state()["revisionError"] for relay in relays)


def test_newer_format(scene: Scene):
    """a revision of a newer format is there: relays refuse it by name and go on; this version's operator writes its own"""
    relays = start(scene)
    without_operators(scene)
    with traffic(scene) as trial, trial.fault("a revision of a newer format"):
        try:
            index = read_index(scene, REVISION)
            write_index(scene, REVISION, index | {"formatVersion": 99, "sequence": index["sequence"] + 1})
            expect_refusal(scene, relays, {"NewerFormat"})
        finally:
            scene.culvert.scale(2)
        scene.culvert.wait_operators(2)
        change_arrives(scene, relays, 15)
    assert not any(relay.state()["revisionError"] for relay in relays)


def revision(scene: Scene) -> dict[str, str]:
    """The chunks of the fleet's revision, in base64."""
    return scene.get("configmap", REVISION)["binaryData"]


def truncate(scene: Scene, whole: dict[str, str]) -> None:
    """Has half of each chunk only."""
    halves = {name: text[: len(text) // 8 * 4] for name, text in whole.items()}
    scene.api.patch(f"/api/v1/namespaces/{scene.name}/configmaps/{REVISION}", {"binaryData": halves})


def without_operators(scene: Scene) -> None:
    scene.culvert.scale(0)
    scene.culvert.wait_operators(0)


def expect_refusal(scene: Scene, relays: list[RelayPod], reasons: set[str]) -> None:
    for relay in relays:

        def refused(relay=relay) -> bool:
            return (relay.state()["revisionError"] or {}).get("reason") in reasons

        assert eventually(lambda refused=refused: pause(refused), 30), f"{relay.name}: {relay.state()['revisionError']}"
    scene.say(f"relays refuse it: {relays[0].state()['revisionError']['message']}")


# Releases


def test_upgraded_and_back(scene: Scene):
    """charts of another version with images of that version are installed, as docs/upgrade.md says, then rolled back"""
    before = start(scene)
    culvert = scene.culvert
    charts = culvert.release(NEXT, scene.folder / "charts")
    with traffic(scene) as trial:
        with trial.fault("upgraded"):
            culvert.upgrade(charts)
            upgraded = replaced(scene, before, 19)
            assert versions(scene) == {NEXT}, f"pods have images of {versions(scene)}"
        with trial.fault("rolled back"):
            culvert.roll_back()
            replaced(scene, upgraded, 20)
    assert NEXT not in versions(scene), f"pods have images of {versions(scene)}"


def replaced(scene: Scene, before: list[RelayPod], number: int) -> list[RelayPod]:
    """Other relays, to which a change arrives."""
    relays = scene.wait_replaced(before)
    scene.expect_announced(relays)
    change_arrives(scene, relays, number)
    return relays


def versions(scene: Scene) -> set[str]:
    """The tags of all images that Culvert's pods have."""
    pods = [*scene.culvert.operators(), *scene.relay_objects()]
    containers = [one for pod in pods for one in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"])]
    return {one["image"].rpartition(":")[2] for one in containers}


# Moves


def test_moved(scene: Scene):
    """a domain moves from one fleet to another, and is in both for a time"""
    before = start(scene)
    scene.apply(manifests.fleet(scene.name, OTHER, bgp=manifests.bgp()))
    scene.expect("BorderRelay", OTHER, Accepted=True, Programmed=True)
    ready = eventually(lambda: pause(lambda: len(found := scene.relays(OTHER)) == 2 and found), 60)
    assert ready, scene.kubectl("get", "pods", "-o", "wide")
    with traffic(scene) as trial, trial.fault("a domain moves to another fleet"):
        refer(scene, FLEET, OTHER)
        scene.expect_announced([*before, *scene.relays(OTHER)])
        refer(scene, OTHER)
        scene.expect_announced(scene.relays(OTHER))
    served = {relay.name: relay.state()["revision"]["rules"] for relay in before}
    assert not any(served.values()), f"the first fleet serves it still: {served}"


def refer(scene: Scene, *fleets: str) -> None:
    refs = [{"name": name} for name in fleets]
    scene.api.patch(scene.path("MapDomain", DOMAIN), {"spec": {"relayRefs": refs}})
    scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True, Advertised=True)
