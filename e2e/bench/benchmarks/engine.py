"""Instructions and allocations per packet, and fragments per second, in the engine alone.

Every run makes the same packets and processes some of them. The difference between two runs, divided by the packets
that one processed more, is what one packet costs.
"""

import re
import subprocess
from collections.abc import Iterator

from . import build
from .figures import Figure, progress

FEWER, MORE, MOST = 16384, 32768, 65536
RULES = (1, 1024, 16384)
WAYS = {"to-ce": ("to CE", 160), "from-ce": ("from CE", 170)}

# Two for each datagram: the second finds the first one's port, is held until that comes, or is put together with it.
FRAGMENTS = {"order": "the first one first", "reversed": "the first one held for", "joined": "joined (v4: Full)"}
FRAGMENTS_RULES = 1024

# The goals are for one rule, and 1,024 rules may cost little more.
RULES_RATIO = 1.1


def measure(runs: int) -> Iterator[Figure]:
    """Counts need no repetition; of times the best counts."""
    for way, (name, bound) in WAYS.items():
        by_rules = {rules: instructions(way, "udp", rules) for rules in RULES}
        for rules, count in by_rules.items():
            goal = bound if rules == 1 else None
            yield Figure(f"engine, {name}, {rules} rule{'s' * (rules > 1)}", count, "instructions/packet", goal)
        yield Figure(f"engine, {name}, TCP, 1 rule", instructions(way, "tcp", 1), "instructions/packet", bound)
        ratio = by_rules[1024] / by_rules[1]
        yield Figure(f"engine, {name}, 1024 rules against 1", ratio, "times", RULES_RATIO)
    for way, (name, _) in WAYS.items():
        progress(f"allocations: {way}")
        yield Figure(f"engine, {name}", printed("allocations", way, "udp") / MOST, "allocations/packet", 0)
    for way, (name, _) in WAYS.items():
        for kind, order in FRAGMENTS.items():
            yield from fragments(f"engine, fragments {name}, {order}", way, kind, runs)


def fragments(name: str, way: str, kind: str, runs: int) -> Iterator[Figure]:
    yield Figure(name, instructions(way, kind, FRAGMENTS_RULES), "instructions/fragment")
    progress(f"{runs} times: {way}, {kind}")
    best = min(printed("nanoseconds", way, kind) for _ in range(runs))
    yield Figure(name, MOST / best * 1000, "million fragments/s")


def instructions(way: str, kind: str, rules: int) -> float:
    progress(f"instructions: {way}, {kind}, {rules} rules")
    few, many = (collected(way, kind, rules, count) for count in (FEWER, MORE))
    return (many - few) / (MORE - FEWER)


def collected(way: str, kind: str, rules: int, count: int) -> int:
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = run(*valgrind, build.PACKETS, way, kind, rules, count)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def printed(what: str, way: str, kind: str) -> int:
    """One number that a run with as many packets as there may be prints."""
    done = run(build.PACKETS, way, kind, FRAGMENTS_RULES, MOST)
    return int(re.search(rf"{what} (\d+)", done.stdout)[1])


def run(*argv) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True)
