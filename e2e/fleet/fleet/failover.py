"""What a fleet with BGP loses when something happens to it: one event after the other, some runs of each."""

import contextlib
import os
import signal
import statistics
import time
from dataclasses import dataclass, field
from typing import Callable, Iterator

from cluster.fabric import SEGMENTS
from . import manifests
from .manifests import DOMAIN, FLEET, HALVES, small_rule
from .meter import Counted, Meter
from .relays import RelayPod
from .scene import Scene
from .tables import markdown

DETECTION = manifests.DETECTION  # milliseconds
BEYOND = 100  # milliseconds that routers, kernel and this machine may take beyond BFD's detection
WATCHED = 3  # seconds of traffic after an event, until which all is over
CONTROLS = 3  # a control run that loses says that the machine is busy: it is tried again, so often
EDITS = 4

# An event's steps: what it needs first, `yield`, what happens, `yield`, what puts all back.
Steps = Iterator[None]


@dataclass(frozen=True)
class Event:
    name: str
    planned: bool
    steps: Callable[["Stage"], Steps]

    @property
    def allowed(self) -> int:
        """Milliseconds."""
        return 0 if self.planned else DETECTION + BEYOND


EVENTS: list[Event] = []


def event(name: str, planned: bool):
    def note(steps: Callable[["Stage"], Steps]):
        EVENTS.append(Event(name, planned, steps))
        return steps
    return note


class Stage:
    """A fleet of two relays that announces, for one run."""

    def __init__(self, scene: Scene, number: int):
        self.scene, self.fabric, self.number = scene, scene.fabric, number

    def settle(self, count: int = 2) -> list[RelayPod]:
        """Waits until so many relays are ready, and both routers send to all of them and watch them."""
        relays = self.scene.wait_relays(count, 120)
        self.scene.expect_announced(relays)
        return relays

    def victim(self) -> RelayPod:
        """Another relay in each run."""
        relays = self.settle()
        return relays[self.number % len(relays)]

    def replace(self, relay: RelayPod) -> None:
        """Has another pod in its place: one that was killed often is not started again for minutes."""
        self.scene.kubectl("delete", "pod", relay.name, "--ignore-not-found", "--timeout=60s")

    def ports(self, relay: RelayPod, *sides: str) -> list[str]:
        """The switch's ports with the cables of a relay's node (there is one relay on each)."""
        return [f"{relay.node}-{side}" for side in sides]


@event("kubectl scale 2 -> 3", planned=True)
def scale_up(stage: Stage) -> Steps:
    yield
    stage.scene.scale(3)
    stage.settle(3)
    yield
    stage.scene.scale(2)


@event("kubectl scale 3 -> 2", planned=True)
def scale_down(stage: Stage) -> Steps:
    stage.scene.scale(3)
    stage.settle(3)
    yield
    stage.scene.scale(2)
    stage.settle(2)
    yield


@event("rolling image upgrade", planned=True)
def upgrade(stage: Stage) -> Steps:
    scene = stage.scene
    before = stage.settle()
    images = {name: scene.culvert.tag(name, f"upgrade{stage.number}") for name in ("relay", "speaker")}
    yield
    scene.api.patch(scene.path("BorderRelay", FLEET), {"spec": {"podTemplate": {
        "image": images["relay"], "speaker": {"image": images["speaker"]}}}})
    scene.wait_replaced(before)
    stage.settle()
    yield


@event("kubectl cordon, drain", planned=True)
def drain(stage: Stage) -> Steps:
    node = stage.victim().node
    yield
    stage.scene.kubectl("cordon", node)
    try:
        stage.scene.kubectl(
            "drain", node, "--pod-selector=app.kubernetes.io/name=culvert-relay", "--ignore-daemonsets",
            "--delete-emptydir-data", "--timeout=100s")
        stage.scene.expect_announced([relay for relay in stage.scene.relays() if relay.ready])
        yield
    finally:
        stage.scene.kubectl("uncordon", node)


@event("operators restarted", planned=True)
def operator(stage: Stage) -> Steps:
    yield
    stage.scene.culvert.restart()
    stage.settle()
    yield


@event("domain edited, rules come and go", planned=True)
def edits(stage: Stage) -> Steps:
    scene = stage.scene
    yield
    for number in range(1, EDITS + 1):
        rule = small_rule(number)
        scene.apply(manifests.domain(scene.name, rules=[*HALVES, rule]))
        scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True)
        scene.expect_announced(scene.relays(), [*manifests.SERVED, rule["ipv4Prefix"]])
    scene.apply(manifests.domain(scene.name))
    scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True)
    yield


@event("kill -9 of a relay", planned=False)
def kill_relay(stage: Stage) -> Steps:
    relay = stage.victim()
    yield
    relay.kill()
    yield
    stage.replace(relay)


@event("kill -9 of BIRD", planned=False)
def kill_bird(stage: Stage) -> Steps:
    bird = stage.victim().bird()
    yield
    os.kill(bird, signal.SIGKILL)
    yield


@event("kill -9 of all of a pod", planned=False)
def kill_pod(stage: Stage) -> Steps:
    relay = stage.victim()
    yield
    relay.kill_all()
    yield
    stage.replace(relay)


@event("a node's links go down", planned=False)
def links_down(stage: Stage) -> Steps:
    relay = stage.victim()
    ports = stage.ports(relay, *(device for side in SEGMENTS for device in side.devices))
    yield
    stage.fabric.switch.ip(*(f"link set {port} down" for port in ports))
    try:
        yield
    finally:
        stage.fabric.switch.ip(*(f"link set {port} up" for port in ports))


def silent(stage: Stage, ports: list[str]) -> Steps:
    yield
    stage.fabric.silence(*ports)
    try:
        yield
    finally:
        stage.fabric.unsilence()


@event("IPv4 side silent, links up", planned=False)
def silent_ipv4(stage: Stage) -> Steps:
    yield from silent(stage, stage.ports(stage.victim(), "ipv4"))


@event("IPv6 side silent, links up", planned=False)
def silent_ipv6(stage: Stage) -> Steps:
    yield from silent(stage, stage.ports(stage.victim(), "ipv6"))


@event("a router silent, links up", planned=False)
def silent_router(stage: Stage) -> Steps:
    routers = stage.fabric.routers
    yield from silent(stage, stage.fabric.router_ports(routers[stage.number % len(routers)]))


@event("all sessions with a relay reset", planned=False)
def reset(stage: Stage) -> Steps:
    addresses = stage.victim().addresses.values()
    yield
    for router in stage.fabric.routers:
        for address in addresses:
            if address in router.established():
                router.do(f"clear bgp {address}")
    yield


@dataclass
class Result:
    """All runs of an event."""

    event: Event
    runs: list[Counted] = field(default_factory=list)

    def figures(self) -> dict:
        outages = [run.outage for run in self.runs]
        return {
            "event": self.event.name, "planned": self.event.planned, "runs": len(self.runs),
            "lost_packets": max(run.lost for run in self.runs),
            "median_outage_ms": round(statistics.median(outages)), "worst_outage_ms": round(max(outages)),
            "allowed_ms": self.event.allowed,
        }

    @property
    def met(self) -> bool:
        figures = self.figures()
        return not figures["lost_packets"] if self.event.planned else figures["worst_outage_ms"] <= self.event.allowed


def named(*words: str) -> list[Event]:
    """The events whose names have any of these words in them."""
    return [one for one in EVENTS if any(word in one.name for word in words)]


def measure(scene: Scene, events: list[Event], runs: int, say=print, afterwards: bool = False) -> list[Result]:
    """Every event so many times, each with its control run before. `afterwards`: when it is over, and before all is put
    back, nothing more may be lost."""
    scene.start_fleet(2, bgp=manifests.bgp())
    results = []
    for one in events:
        result = Result(one)
        for number in range(runs):
            counted = run(Stage(scene, number), one, afterwards)
            result.runs.append(counted)
            say(f"{number + 1}/{runs} {counted}")
        results.append(result)
    return results


def run(stage: Stage, event: Event, afterwards: bool) -> Counted:
    stage.settle()
    with contextlib.closing(event.steps(stage)) as steps:
        next(steps)
        with stage.scene.meter() as meter:
            quiet(meter)
            with meter.window(event.name) as counted:
                next(steps)
                time.sleep(WATCHED)
            if afterwards:
                quiet(meter)
        assert next(steps, "end") == "end", f"{event.name} has a step too many"
    return counted


def quiet(meter: Meter) -> Counted:
    """A control run that lost nothing: without one nothing could be said of an event."""
    for _ in range(CONTROLS):
        if (control := meter.control()).lost_nothing():
            return control
    raise AssertionError(f"lost without any event, {CONTROLS} times:\n{control.detail()}")


def table(results: list[Result]) -> str:
    heads = ("event", "runs", "lost (worst)", "outage, median", "worst", "allowed", "")
    rows = []
    for result in results:
        figures = result.figures()
        rows.append((
            figures["event"], str(figures["runs"]), f"{figures['lost_packets']}", f"{figures['median_outage_ms']} ms",
            f"{figures['worst_outage_ms']} ms", f"{figures['allowed_ms']} ms" if not result.event.planned else "none lost",
            "yes" if result.met else "**missed**"))
    return markdown(heads, rows)
