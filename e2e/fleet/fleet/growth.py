"""What a fleet might pile up: each program's memory, descriptors, threads and metric series, its pod's routes, and API objects."""

import os
import statistics
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from lab.relay import Metrics

from .installation import NAMESPACE
from .pages import PORTS, metrics
from .relays import name_of, processes
from .scene import Scene
from .tables import markdown

# By the name that the kernel has for it, of at most 15 characters.
PROGRAMS = {"culvert-relay": "relay", "culvert-speaker": "speaker", "bird": "bird", "culvert-operato": "operator"}

# What a program may have more of in the end than in the beginning: caches fill, a connection is made anew.
ALLOWED = {"memory, MiB": 3.0, "descriptors": 4, "threads": 3, "routes": 0}
AFTER_CALM = {"descriptors"}  # judged of programs that are there in the end: connections to relays that are gone stay for some seconds
EDGE = 3  # readings at either end whose median is compared
SETTLED = 20  # seconds in which a program that has just started finds its size
LIVED = 50  # seconds from the first to the last reading, at least

OLD_REPLICA_SETS = 3  # that a Deployment keeps (`revisionHistoryLimit`), relays' and operators'
PASSING = {"events", "events.events.k8s.io", "pods.metrics.k8s.io"}  # kinds of objects that go by themselves


@dataclass(frozen=True)
class Program:
    """One process: after a restart it is another."""

    name: str
    pod: str
    pid: int


@dataclass
class Reading:
    at: float  # seconds, by the monotonic clock
    amounts: dict[str, float]
    series: Counter


@dataclass(frozen=True)
class Finding:
    """How much more of something there was in the end, in the program that grew most."""

    program: str
    what: str
    first: float
    last: float
    allowed: float
    minutes: float

    @property
    def met(self) -> bool:
        return self.last - self.first <= self.allowed


class Growth:
    """Looks at a fleet's programs and objects whenever it is asked to."""

    def __init__(self, scene: Scene):
        self.scene = scene
        self.readings: dict[Program, list[Reading]] = defaultdict(list)
        self.objects: list[Counter] = []
        self.looked = 0.0  # when, at last

    def look(self) -> None:
        self.looked = now = time.monotonic()
        for pod in (*self.scene.culvert.operators(), *self.scene.relay_objects()):
            for pid in processes(pod["metadata"]["uid"]):
                if name := PROGRAMS.get(name_of(pid)):
                    program = Program(name, pod["metadata"]["name"], pid)
                    if now - started(pid) > SETTLED:
                        self.readings[program].append(Reading(now, amounts(pid), self.series(name, pod)))
        self.objects.append(self.count_objects())

    def series(self, program: str, pod: dict) -> Counter:
        if program not in PORTS:
            return Counter()
        return keys(metrics(self.scene.fabric.control, pod["status"]["podIP"], program))

    def count_objects(self) -> Counter:
        """Objects by kind, in the fleet's namespace and the operator's."""
        cluster = self.scene.cluster
        kinds = set(cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()) - PASSING
        namespaces = (self.scene.name, NAMESPACE)
        names = [cluster.kubectl("get", ",".join(sorted(kinds)), "--namespace", name, "--output=name") for name in namespaces]
        return Counter(line.partition("/")[0] for line in "".join(names).splitlines())

    # What has grown

    def findings(self) -> list[Finding]:
        """For each program and amount, the process that grew most of those that lived long enough."""
        found: dict[tuple[str, str], Finding] = {}
        for program, readings in self.lived().items():
            minutes = (readings[-1].at - readings[0].at) / 60
            for what, allowed in ALLOWED.items():
                if what in AFTER_CALM and readings[-1].at < self.looked:
                    continue
                first, last = (edge(part, what) for part in (readings[:EDGE], readings[-EDGE:]))
                one = Finding(program.name, what, first, last, allowed, minutes)
                other = found.get((program.name, what))
                if other is None or one.last - one.first > other.last - other.first:
                    found[program.name, what] = one
        return [found[key] for key in sorted(found)]

    def lived(self) -> dict[Program, list[Reading]]:
        return {program: readings for program, readings in self.readings.items()
                if len(readings) >= 2 * EDGE and readings[-1].at - readings[0].at >= LIVED}

    def new_series(self) -> dict[str, set[str]]:
        """Series that a program had in the end and not in the beginning, by program; counters begin when they first count."""
        found: dict[str, set[str]] = defaultdict(set)
        for program, readings in self.lived().items():
            found[program.name] |= set(readings[-1].series - readings[0].series)
        return {program: new for program, new in found.items() if new}

    def problems(self, gone: set[str]) -> list[str]:
        """What grew and may not. `gone`: names of what is no longer there, which no series may speak of."""
        found = [f"{one.program}: {one.what}: {one.first:g}, then {one.last:g}" for one in self.findings() if not one.met]
        for program, readings in self.lived().items():
            last = readings[-1].series
            found += [f"{program.name}: {key} is of what is gone" for key in last if any(f'"{name}"' in key for name in gone)]
        for program, new in self.new_series().items():
            found += [f"{program}: the series {key} is new, and counts nothing" for key in sorted(new) if not is_counter(key)]
        first, last = self.objects[0], self.objects[-1]
        for kind, more in (last - first).items():
            if more > (OLD_REPLICA_SETS * last["deployment.apps"] if kind == "replicaset.apps" else 0):
                found.append(f"{kind}: {first[kind]} objects, then {last[kind]}")
        if unseen := set(PROGRAMS.values()) - {program.name for program in self.lived()}:
            found.append(f"no process of {', '.join(sorted(unseen))} lived long enough to be judged: let it run for longer")
        return found

    def table(self) -> str:
        heads = ("program", "what", "in the beginning", "in the end", "may grow by", "over", "")
        return markdown(heads, [
            (one.program, one.what, f"{one.first:g}", f"{one.last:g}", f"{one.allowed:g}", f"{one.minutes:.1f} min",
             "yes" if one.met else "**grew**") for one in self.findings()])


def started(pid: int) -> float:
    """When a process began, by the monotonic clock, in seconds."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK") - (time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic())


def amounts(pid: int) -> dict[str, float]:
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    routes = [(process / "net" / name).read_text().count("\n") for name in ("route", "ipv6_route")]
    return {
        "memory, MiB": round(int(status["VmRSS"].split()[0]) / 1024, 1),
        "descriptors": len(list((process / "fd").iterdir())),
        "threads": int(status["Threads"]),
        "routes": sum(routes),
    }


def keys(page: Metrics) -> Counter:
    """Series by name and labels. Of those whose labels are what they say (`_info`), by name: there may be no more of them."""
    return Counter(name if name.endswith("_info") else f"{name}{{{written(labels)}}}" for name, labels, _ in page.series)


def written(labels: dict[str, str]) -> str:
    return ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))


def is_counter(key: str) -> bool:
    return key.partition("{")[0].endswith(("_total", "_bucket", "_sum", "_count"))


def edge(readings: list[Reading], what: str) -> float:
    return statistics.median(reading.amounts[what] for reading in readings)
