"""Domains change while traffic flows."""

import contextlib
import copy
import json
import statistics
import threading
import time
from ipaddress import IPv6Network

from fleet import manifests
from fleet.api import path_of
from fleet.flows import FROM_CE, TO_CE
from fleet.manifests import DOMAIN, FLEET
from fleet.relays import ADMIN_PORT, RelayPod
from fleet.scene import Scene, pause
from lab.lab import eventually

CHANGES = 15
ELSEWHERE = IPv6Network("2001:db8:cf:4000::/50")  # where customer 3 is not


def test_edit_a_rule(scene: Scene):
    """a rule moves to other CEs and back: flows of the other rule lose nothing, each loss of its own has a counter"""
    relays = scene.start_fleet(2)
    moved = copy.deepcopy(manifests.HALVES)
    moved[1]["mapePrefix"] = str(ELSEWHERE)
    with scene.traffic(connections=0) as traffic, nobody_at(scene, ELSEWHERE):
        traffic.control()
        before = scene.ledger()
        with traffic.window("a rule moves: customers of the other rule", (1, 2)) as others:
            with traffic.window("a rule moves: its own customer", (3,)) as own:
                edit(scene, relays, moved)
                traffic.pause(3)
                edit(scene, relays, manifests.HALVES)
            traffic.pause(1)
        counted = scene.ledger().since(before)
        scene.lost_nothing(others, before)
        check_attributed(scene, own, counted)
        with traffic.window("the rule is back") as back:
            traffic.pause(2)
        scene.lost_nothing(back, before)


@contextlib.contextmanager
def nobody_at(scene: Scene, prefix: IPv6Network):
    """The core router says so, and counts."""
    scene.fabric.core.ip(f"route add unreachable {prefix}")
    try:
        yield
    finally:
        scene.fabric.core.ip(f"route del unreachable {prefix}")


def edit(scene: Scene, relays: list[RelayPod], rules: list[dict]) -> None:
    """Applies a domain with these rules; waits until every relay works by it alone."""
    hashes = {relay.state()["revision"]["hash"] for relay in relays}
    scene.apply(manifests.domain(scene.name, rules=rules))
    for relay in relays:
        taken = eventually(lambda relay=relay: pause(lambda: relay.state()["revision"]["hash"] not in hashes), 30)
        assert taken, f"{relay.name} did not take the change: {relay.state()}"
    scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True)


def check_attributed(scene: Scene, own, counted: dict) -> None:
    """Customer 3 sent from an address that the rule does not give it: relays count each. What was for it went to where
    nobody is: the core router counts each."""
    spoofed = sum(count for (_, name), count in counted.items() if "SpoofedSource" in name)
    nowhere = sum(count for (place, name), count in counted.items() if place == "core" and name.startswith("Ip6"))
    scene.say(f"lost from the CE: {own.lost(FROM_CE)}, relays counted {spoofed} SpoofedSource")
    scene.say(f"lost to the CE: {own.lost(TO_CE)}, the core router counted {nowhere} without a route")
    assert own.lost(FROM_CE) > 10 and own.lost(TO_CE) > 10, f"the rule did not move, so this test shows nothing: {own}"
    assert spoofed == own.lost(FROM_CE), f"{counted}\n{own.detail()}"
    assert nowhere == own.lost(TO_CE), f"{counted}\n{own.detail()}"


def test_many_edits(scene: Scene):
    """a rule is added and removed again and again: nothing is lost; how long from spec to all relays is printed"""
    relays = scene.start_fleet(2)
    with scene.traffic() as traffic:
        traffic.control()
        before = scene.ledger()
        with traffic.window(f"{CHANGES} changes of a rule nobody uses") as window:
            times = [measure(scene, relays, number) for number in range(CHANGES)]
        scene.lost_nothing(window, before)
    for what, values in zip(("all relays forward by it", "status says Programmed"), zip(*times)):
        scene.say(f"from spec to `{what}`: median {statistics.median(values) * 1000:.0f} ms, "
                  f"longest {max(values) * 1000:.0f} ms of {CHANGES} (the goal: below 1000 ms)")
    history(scene, relays)


def measure(scene: Scene, relays: list[RelayPod], number: int) -> tuple[float, float]:
    """Changes the domain; the seconds until every relay forwards by it, and until the status says so."""
    rules = [*manifests.HALVES, manifests.small_rule(number)]
    active = [relay.state()["revision"]["sequence"] for relay in relays]
    taken: dict[str, float] = {}

    def watch(relay: RelayPod, sequence: int) -> None:
        deadline = time.monotonic() + 30
        while relay.state()["revision"]["sequence"] <= sequence and time.monotonic() < deadline:
            time.sleep(0.01)
        taken[relay.name] = time.monotonic()

    watchers = [threading.Thread(target=watch, args=pair, daemon=True) for pair in zip(relays, active)]
    for watcher in watchers:
        watcher.start()
    began = time.monotonic()
    generation = scene.api.patch(path_of("MapDomain", scene.name, DOMAIN), {"spec": {"rules": rules}})["metadata"]["generation"]
    for watcher in watchers:
        watcher.join(40)
    assert eventually(lambda: is_programmed(scene, generation), 30), scene.told("MapDomain", DOMAIN)
    programmed = time.monotonic()
    assert len(taken) == len(relays), f"only {list(taken)} took the change"
    assert all(relay.state()["revision"]["rules"] == len(rules) for relay in relays), [relay.state() for relay in relays]
    return max(taken.values()) - began, programmed - began


def is_programmed(scene: Scene, generation: int) -> bool:
    found = scene.conditions("MapDomain", DOMAIN).get("Programmed", {})
    return found.get("status") == "True" and found["observedGeneration"] == generation


def history(scene: Scene, relays: list[RelayPod]) -> None:
    """`culvertctl history` shows what each relay forwarded by, and since when: the last is the fleet's revision."""
    revision = scene.object("BorderRelay", FLEET)["status"]["revision"]
    for relay in relays:
        shown = json.loads(scene.culvertctl("history", "--state", f"http://{relay.ip}:{ADMIN_PORT}", "--output", "json"))
        numbers = [entry["sequence"] for entry in shown]
        assert len(shown) > CHANGES and numbers == sorted(numbers), f"{relay.name}: {numbers}"
        last = (shown[-1]["sequence"], shown[-1]["hash"], shown[-1]["rules"])
        assert last == (revision["sequence"], revision["hash"], revision["rules"]), f"{relay.name}: {last}, not {revision}"
    scene.say(f"culvertctl history: {len(shown)} activations, revisions {numbers[0]} to {numbers[-1]}")
