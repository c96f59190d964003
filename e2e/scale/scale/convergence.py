"""The steps: what happens to a fleet of announcers, and how long until a router's kernel sends by what is left."""

import contextlib
import json
import os
import signal
import statistics
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Callable

from cluster import images
from cluster.fabric import Fabric
from cluster.standin import StandIn
from lab.lab import eventually, uninterrupted
from lab.namespaces import remove_namespaces

BR_ADDRESSES = 100
PATIENCE = 120
LEAVING = "bgp_community.add((65535, 0)); accept"  # GRACEFUL_SHUTDOWN, RFC 8326


@dataclass
class Result:
    step: str
    seconds: list[float] = field(default_factory=list)


class Fleet:
    """Announcers on a fabric whose first router they all speak to."""

    def __init__(self, fabric: Fabric, folder: Path, count: int, prefixes: int):
        self.fabric, self.router = fabric, fabric.routers[0]
        self.relays = [StandIn(fabric, number, folder, [self.router]) for number in range(1, count + 1)]
        ipv4 = IPv4Network("100.0.0.0/8").subnets(new_prefix=24)
        self.prefixes = {
            "ipv4": [str(next(ipv4)) for _ in range(prefixes)],
            "ipv6": [f"{IPv6Network('3001:db8:ffff::/48')[number]}/128" for number in range(1, BR_ADDRESSES + 1)],
        }
        self.results: dict[str, Result] = {}

    def paths(self) -> set[int]:
        """Over how many next hops the router's kernel sends, of all prefixes: 0 for one that it does not have."""
        found = []
        for family, version in (("ipv4", "-4"), ("ipv6", "-6")):
            routes = json.loads(self.router.namespace.show("-json", version, "route", "show", "proto", "bgp") or "[]")
            counts = {route["dst"].partition("/")[0]: len(route.get("nexthops", [route])) for route in routes}
            found += [counts.get(prefix.partition("/")[0], 0) for prefix in self.prefixes[family]]
        return set(found)

    def clock(self, step: str, happen: Callable[[], None], paths: int) -> None:
        """Has something happen, and notes how long it takes until every prefix has so many paths."""
        began = time.monotonic()
        happen()
        assert eventually(lambda: self.paths() == {paths}, PATIENCE), f"{step}: {self.paths()} paths, not {paths}"
        seconds = time.monotonic() - began
        self.results.setdefault(step, Result(step)).seconds.append(seconds)
        print(f"{seconds:7.2f} s  {step}", flush=True)

    def wait_watched(self) -> None:
        """BFD begins a moment after BGP."""
        wanted = {address for relay in self.relays for address in relay.addresses.values()}
        assert eventually(lambda: wanted <= self.router.watched(), PATIENCE), "BFD does not see all"


def measure(folder: Path, relays: int, prefixes: int, runs: int) -> list[Result]:
    with fabric(folder) as made:
        fleet = Fleet(made, folder, relays, prefixes)
        print(f"{relays} announcers, {prefixes} IPv4 prefixes and {BR_ADDRESSES} BR addresses each", flush=True)
        for _ in range(runs):
            run(fleet)
        return list(fleet.results.values())


@contextlib.contextmanager
def fabric(folder: Path):
    """The network of e2e/cluster, without a cluster."""
    folder.chmod(0o755)  # FRR is not root when it reads its configuration
    (folder / "bin").mkdir()
    (folder / "bin" / "pause").symlink_to(images.pause_program())
    name = f"s{os.getpid()}"
    made = Fabric(name, folder)
    try:
        made.build()
        made.start_routing()
        made.wait_routing()
        yield made
    finally:
        with uninterrupted():
            ended = remove_namespaces(name)
            eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in ended), 20)


def run(fleet: Fleet) -> None:
    """Every step once; it begins and ends without anybody."""
    relays, all_of_them = fleet.relays, len(fleet.relays)
    one, half = relays[0], relays[: all_of_them // 2]
    fleet.clock("all start at once", lambda: start(fleet, relays), all_of_them)
    fleet.wait_watched()
    fleet.clock("one drains (GRACEFUL_SHUTDOWN)", lambda: one.bird.reconfigure(one.config(fleet.prefixes, LEAVING)), all_of_them - 1)
    fleet.clock("it is back", lambda: one.bird.reconfigure(one.config(fleet.prefixes)), all_of_them)
    fleet.clock("one withdraws all", lambda: one.bird.reconfigure(one.config(fleet.prefixes, "reject")), all_of_them - 1)
    fleet.clock("it announces all again", lambda: one.bird.reconfigure(one.config(fleet.prefixes)), all_of_them)
    fleet.clock("one is killed", lambda: one.bird.stop(signal.SIGKILL), all_of_them - 1)
    fleet.clock("it starts again", lambda: start(fleet, [one]), all_of_them)
    fleet.wait_watched()
    fleet.clock("one is silent (BFD 100 ms x 3)", lambda: fleet.fabric.silence(*one.ports), all_of_them - 1)
    fleet.clock("it is heard again", fleet.fabric.unsilence, all_of_them)
    fleet.wait_watched()
    ports = [port for relay in half for port in relay.ports]
    fleet.clock("half of all are silent", lambda: fleet.fabric.silence(*ports), all_of_them - len(half))
    fleet.clock("they are heard again", fleet.fabric.unsilence, all_of_them)
    fleet.clock("all are killed", lambda: stop(relays), 0)


def start(fleet: Fleet, relays: list[StandIn]) -> None:
    for relay in relays:
        relay.start(fleet.prefixes)


def stop(relays: list[StandIn]) -> None:
    for relay in relays:
        relay.bird.stop(signal.SIGKILL)


def table(results: list[Result]) -> str:
    heads = ("what happens", "median", "worst")
    rows = [heads, *((one.step, f"{statistics.median(one.seconds):.2f} s", f"{max(one.seconds):.2f} s") for one in results)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    lines = ["| " + " | ".join(word.ljust(width) for word, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def as_json(results: list[Result]) -> str:
    figures = [{"step": one.step, "runs": len(one.seconds), "median_s": round(statistics.median(one.seconds), 3),
                "worst_s": round(max(one.seconds), 3)} for one in results]
    return json.dumps(figures, indent=1) + "\n"
