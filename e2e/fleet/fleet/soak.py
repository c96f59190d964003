"""Events at random, one after the other, under traffic that never ends: what is lost without a reason, and what has grown."""

import contextlib
import random
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Iterator

from . import manifests
from .failover import EVENTS, WATCHED, Event, Stage, Steps, drain, kill_pod, kill_relay, silent_router, upgrade
from .growth import Growth
from .ledger import table
from .manifests import DOMAIN, small_rule
from .meter import Counted, Meter
from .promises import RATE
from .scene import Scene
from .tables import markdown

REPLACING = (upgrade, drain, kill_relay, kill_pod)
VISITORS = 5  # domains that come and go with each such event
CALM, PAUSE = 80, 10  # seconds at the end, in which connections to relays that are gone are closed; from look to look
DISTURBED = 0.25  # of all windows: if there are more in which the machine stood still, nothing can be said


@dataclass
class Happened:
    """One event and the traffic meanwhile, or, without one, traffic that nothing happened to."""

    event: Event | None
    counted: Counted
    disturbed: bool = False  # the test's own routers lost each other: the machine stood still

    @property
    def met(self) -> bool:
        """A gap that was longer than BFD takes is told, and is no loss without a reason."""
        return self.disturbed or self.counted.outage <= (self.event.allowed if self.event else 0)

    @property
    def explained(self) -> int:
        """Datagrams that were lost for a reason."""
        return self.counted.lost if self.disturbed or (self.event and not self.event.planned) else 0

    def __str__(self) -> str:
        return f"{self.counted}{'; the machine stood still' if self.disturbed else '' if self.met else ' **missed**'}"


class Soak:
    """A fleet of two relays that announces, for as long as it is asked to."""

    def __init__(self, scene: Scene, seed: int, say=print):
        self.scene, self.say = scene, say
        self.random = random.Random(seed)
        self.growth = Growth(scene)
        self.happened: list[Happened] = []
        self.problems: list[str] = []
        self.gone: set[str] = set()  # names that nothing has any more

    def run(self, minutes: float) -> Counted:
        """All of the traffic."""
        self.scene.start_fleet(2, bgp=manifests.bgp())
        Stage(self.scene, 0).settle()
        with self.scene.meter(rate=RATE) as meter:
            with meter.window("all of it") as whole:
                self.growth.look()
                for number, event in enumerate(self.events(minutes - CALM / 60)):
                    self.happen(meter, Stage(self.scene, number), event)
                    self.growth.look()
                with self.window(meter, "calm"):
                    for _ in range(CALM // PAUSE):
                        time.sleep(PAUSE)
                        self.growth.look()
        self.problems += self.unexplained(whole) + self.growth.problems(self.gone)
        return whole

    def events(self, minutes: float) -> Iterator[Event]:
        """Until the time is over: each as often as the others, in another order each time. Those that replace pods come last, so
        that relays live for long enough to show whether they grow."""
        end = time.monotonic() + minutes * 60
        others = [event for event in EVENTS if event.steps not in REPLACING]
        others.append(Event("domains come and go", True, self.visit))
        replacing = [event for event in EVENTS if event.steps in REPLACING]
        while True:
            for event in (*self.random.sample(others, len(others)), *self.random.sample(replacing, len(replacing))):
                if time.monotonic() > end:
                    return
                yield event

    def happen(self, meter: Meter, stage: Stage, event: Event) -> None:
        with contextlib.closing(event.steps(stage)) as steps:
            with self.window(meter, f"before: {event.name}"):
                next(steps)
            with self.window(meter, event.name, event):
                next(steps)
                time.sleep(WATCHED)
            with self.window(meter, f"after: {event.name}"):
                assert next(steps, "end") == "end", f"{event.name} has a step too many"
                self.gone |= {relay.name for relay in stage.scene.relays()}
                self.gone -= {relay.name for relay in stage.settle()}

    @contextlib.contextmanager
    def window(self, meter: Meter, name: str, event: Event | None = None) -> Iterator[None]:
        pauses, before = self.scene.fabric.pauses(), self.scene.ledger()
        with meter.window(name) as counted:
            yield
        cut = event is not None and event.steps is silent_router  # on purpose
        one = Happened(event, counted, not cut and self.scene.fabric.pauses() != pauses)
        self.happened.append(one)
        if event or one.counted.lost:
            self.say(f"{time.strftime('%H:%M:%S')} {one}")
        if counted.lost > one.explained or counted.report["connections"]["missing"]:
            self.problems.append(f"{counted.detail()}\n    counted meanwhile:\n{table(self.scene.ledger().since(before))}")

    def visit(self, stage: Stage) -> Steps:
        """Domains that nobody had before come, each with a rule, and go."""
        scene = self.scene
        visitors = [f"visitor-{stage.number}-{place}" for place in range(VISITORS)]
        yield
        scene.apply(*(visitor(scene.name, name, place) for place, name in enumerate(visitors)))
        for name in visitors:
            scene.expect("MapDomain", name, Accepted=True, Programmed=True, Advertised=True)
        for name in visitors:
            scene.kubectl("delete", "mapdomain", name, "--timeout=60s")
        scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True, Advertised=True)
        self.gone |= set(visitors)
        yield

    def unexplained(self, whole: Counted) -> list[str]:
        """What was lost between windows too, and whether the machine let anything be seen at all."""
        found = []
        if lost := whole.lost - sum(one.counted.lost for one in self.happened):
            found.append(f"{lost} datagrams were lost when nothing happened")
        if len(self.disturbed()) > DISTURBED * len(self.happened):
            found.append(f"in {len(self.disturbed())} of {len(self.happened)} windows this machine stood still: nothing can be said")
        return found

    def disturbed(self) -> list[Happened]:
        return [one for one in self.happened if one.disturbed]

    # Tables

    def table(self) -> str:
        """Runs in which the machine stood still are judged by nobody."""
        heads = ("event", "judged", "lost (worst)", "longest gap", "allowed", "")
        return markdown(heads, [row(event, runs) for event, runs in self.by_event().items()])

    def by_event(self) -> dict[Event, list[Happened]]:
        found: dict[Event, list[Happened]] = defaultdict(list)
        for one in self.happened:
            if one.event:
                found[one.event].append(one)
        return found

    def figures(self, whole: Counted) -> dict:
        windows = [{"window": one.counted.name, "lost": one.counted.lost, "milliseconds": one.counted.outage,
                    "disturbed": one.disturbed} for one in self.happened]
        grown = [vars(one) for one in self.growth.findings()]
        new = {program: sorted(series) for program, series in self.growth.new_series().items()}
        return {"traffic": whole.report, "windows": windows, "growth": grown, "new_series": new, "problems": self.problems}


def row(event: Event, runs: list[Happened]) -> tuple[str, ...]:
    judged = [one for one in runs if not one.disturbed]
    lost, gap = (max((getattr(one.counted, what) for one in judged), default=0) for what in ("lost", "outage"))
    allowed = "nothing" if event.planned else f"{event.allowed} ms"
    return event.name, f"{len(judged)} of {len(runs)}", f"{lost}", f"{gap:.0f} ms", allowed, "yes" if all(one.met for one in runs) else "**missed**"


def visitor(namespace: str, name: str, place: int) -> dict:
    return manifests.domain(namespace, name, [small_rule(100 + place)], softwireAddress=f"3001:db8:ffff::{place + 2}")
