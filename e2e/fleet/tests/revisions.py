"""Revisions damaged or of another version, releases, moves, under counted traffic: what each may cost is in docs/reliability.md
beforehand."""

from fleet import manifests
from fleet.faults import change_arrives, read_index, start, starts_again, write_index
from fleet.manifests import DOMAIN, FLEET
from fleet.promises import traffic
from fleet.relays import RelayPod
from fleet.scene import Scene, pause
from lab.lab import eventually

REVISION = f"{FLEET}-revision"
OTHER = "second"  # a fleet
NEXT = "99.0.0"  # a release

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
