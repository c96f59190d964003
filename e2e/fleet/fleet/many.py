"""Many fleets and domains at once: how long until all is programmed, and what that costs operator and API server.

There are 20 fleets and 300 domains of 10 rules. The first fleet serves all domains, 3,000 rules, and has two relays; the
other 19 serve about 16 domains each, and have one relay each. None has BGP: a speaker beside each relay would be 21 more
processes of BIRD on two nodes.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable

from lab.lab import eventually

from . import manifests
from .api import GROUP
from .faults import kill, leading, pod_processes
from .relays import name_of
from .requests import Requests, writes
from .scene import Scene, pause
from .tables import markdown

FLEETS, DOMAINS, RULES = 20, 300, 10
CHANGES = 10
REST = 30  # seconds
PATIENCE = 300
AT_ONCE = 4  # connections that make objects
OPERATOR = "culvert-operato"  # as the kernel has it: 15 characters


@dataclass
class Step:
    """What happened, and what it took."""

    name: str
    seconds: float
    requests: int  # of the operators, leases not counted
    writes: int
    changes: int  # among which the requests are divided
    resident_mib: float  # the leading operator's memory, afterwards
    peak_mib: float
    by_kind: dict[str, int]

    def figures(self) -> dict:
        return asdict(self) | {"requests_per_change": round(self.requests / self.changes, 2)}


class Crowd:
    """The fleets and domains, and who counts."""

    def __init__(self, scene: Scene, say=print):
        self.scene, self.say = scene, say
        self.steps: list[Step] = []

    def step(self, name: str, work: Callable[[], float | None], changes: int = 1) -> None:
        """Does a piece of work; its seconds are those that it returns, or as long as it took."""
        requests = Requests(self.scene.cluster)
        began = time.monotonic()
        seconds = work()
        seconds = time.monotonic() - began if seconds is None else seconds
        self.rest(2)  # what follows a change belongs to it
        counts = requests.so_far()
        resident, peak = self.memory()
        by_kind = {f"{verb} {what}": count for (verb, what), count in counts.most_common()}
        step = Step(name, round(seconds, 3), sum(counts.values()), writes(counts), changes, resident, peak, by_kind)
        self.steps.append(step)
        self.say(f"{name}: {seconds:.2f} s, {step.requests} requests {by_kind}, {resident:.0f} MiB")

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def memory(self) -> tuple[float, float]:
        """MiB that the leading operator has, and had at most."""
        pids = pod_processes(leading(self.scene)["metadata"]["uid"])
        pid = next(pid for pid in pids if name_of(pid) == OPERATOR)
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        resident, peak = (int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
        return round(resident, 1), round(peak, 1)

    # Steps

    def fleets_come(self) -> None:
        self.create([fleet(self.scene.name, number) for number in range(FLEETS)])
        self.wait_all("borderrelays", FLEETS, lambda fleet: has(fleet, "Ready"))

    def domains_come(self) -> None:
        self.create([domain(self.scene.name, number) for number in range(DOMAINS)])
        self.wait_all("mapdomains", DOMAINS, lambda domain: has(domain, "Programmed"))

    def rules_change(self) -> float:
        """The median of some changes, one after the other."""
        return statistics.median(self.change(number * (DOMAINS // CHANGES)) for number in range(CHANGES))

    def change(self, number: int, mtu: int = 1480) -> float:
        """Seconds from a domain's change until its status says Programmed."""
        name = domain_name(number)
        began = time.monotonic()
        self.scene.api.patch(self.scene.path("MapDomain", name), {"spec": {"mtu": {"v6": mtu}}})
        told = eventually(lambda: quick(lambda: self.is_programmed(name)), PATIENCE)
        assert told, self.scene.told("MapDomain", name)
        return time.monotonic() - began

    def is_programmed(self, name: str) -> bool:
        return self.scene.conditions("MapDomain", name).get("Programmed", {}).get("status") == "True"

    def all_change(self) -> None:
        """Every domain changes, one right after the other."""
        self.each_domain(lambda path: self.scene.api.patch(path, {"spec": {"mtu": {"v6": 1460}}}))
        self.wait_all("mapdomains", DOMAINS, lambda domain: has(domain, "Programmed"))

    def operators_restart(self) -> None:
        """Both operators are killed; a change applied right afterwards is programmed."""
        for pod in self.scene.culvert.operators():
            kill(pod_processes(pod["metadata"]["uid"]))
        self.change(1, mtu=1440)

    def domains_go(self) -> None:
        """Not by kubectl, which asks for five a second."""
        self.each_domain(lambda path: self.scene.api.request("DELETE", path))
        self.wait_all("borderrelays", FLEETS, lambda fleet: is_empty(fleet) and has(fleet, "Programmed"))

    # Objects

    def create(self, objects: list[dict]) -> None:
        def post(thing: dict) -> None:
            path = f"{GROUP}/namespaces/{self.scene.name}/{thing['kind'].lower()}s"
            self.scene.api.request("POST", path, thing)

        at_once(post, objects)

    def each_domain(self, ask: Callable[[str], Any]) -> None:
        """Asks the API server for something of each, by its path."""
        at_once(ask, [self.scene.path("MapDomain", domain_name(number)) for number in range(DOMAINS)])

    def wait_all(self, plural: str, count: int, fits: Callable[[dict], bool]) -> None:
        """Waits until there are so many objects of a kind, all as they should be."""

        def lacking() -> list[str]:
            items = self.scene.api.get(f"{GROUP}/namespaces/{self.scene.name}/{plural}")["items"]
            return ["..."] * (count - len(items)) + [item["metadata"]["name"] for item in items if not fits(item)]

        done = eventually(lambda: pause(lambda: not lacking()), PATIENCE)
        assert done, f"{plural} are not as they should be after {PATIENCE} s: {lacking()[:10]}"


def at_once(work: Callable[[Any], Any], items: list) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(work, items))


def is_empty(fleet: dict) -> bool:
    return fleet["status"]["revision"]["rules"] == 0


def has(item: dict, condition: str) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any((one["type"], one["status"], one.get("observedGeneration")) == (condition, "True", item["metadata"]["generation"])
               for one in conditions)


def quick(question):
    """As `pause`, with a shorter one: what takes 100 ms is measured."""
    answer = question()
    if not answer:
        time.sleep(0.02)
    return answer


def fleet_name(number: int) -> str:
    return f"fleet{number:02}"


def domain_name(number: int) -> str:
    return f"isp{number:03}"


def fleet(namespace: str, number: int) -> dict:
    return manifests.fleet(
        namespace, fleet_name(number), replicas=1 if number else 2, dataplane={"queues": 1},
        allowed={"ipv4Prefixes": ["10.0.0.0/8"], "softwirePrefixes": ["3001:db8:ffff::/48"]})


def domain(namespace: str, number: int) -> dict:
    own = fleet_name(1 + number % (FLEETS - 1))
    first = number * RULES
    rules = [
        {"name": f"r{place}", "ipv4Prefix": f"10.{place >> 8}.{place & 255}.0/24",
         "mapePrefix": f"2001:db8:{place + 0x1000:x}::/48", "eaBitsLength": 16, "psidOffset": 6}
        for place in range(first, first + RULES)
    ]
    return manifests.domain(
        namespace, domain_name(number), rules, softwireAddress=f"3001:db8:ffff:{number + 1:x}::1",
        relayRefs=[{"name": fleet_name(0)}, {"name": own}])


def measure(scene: Scene, say=print) -> list[Step]:
    crowd = Crowd(scene, say)
    crowd.step(f"{FLEETS} fleets come, with {FLEETS + 1} relays", crowd.fleets_come, FLEETS)
    crowd.step(f"{DOMAINS} domains of {RULES} rules come", crowd.domains_come, DOMAINS)
    crowd.step(f"nothing, for {REST} s", lambda: crowd.rest(REST))
    crowd.step("one domain changes (median)", crowd.rules_change, CHANGES)
    crowd.step("all domains change", crowd.all_change, DOMAINS)
    crowd.step("both operators killed, a domain changes", crowd.operators_restart)
    crowd.step("all domains go", crowd.domains_go, DOMAINS)
    return crowd.steps


def table(steps: list[Step]) -> str:
    heads = ("what happens", "until programmed", "requests", "of these writes", "requests per change", "operator's memory",
             "its peak")
    rows = []
    for step in steps:
        each = step.figures()["requests_per_change"]
        rows.append((
            step.name, f"{step.seconds:.2f} s", f"{step.requests}", f"{step.writes}", f"{each:.2f}",
            f"{step.resident_mib:.0f} MiB", f"{step.peak_mib:.0f} MiB"))
    return markdown(heads, rows)
