"""Instructions and allocations per packet, in the engine alone.

Every run makes the same packets and processes some of them. The difference between two runs, divided by the packets
that one processed more, is what one packet costs.
"""

import re
import subprocess
from collections.abc import Iterator

from . import build
from .figures import Figure, progress

FEWER, MORE = 16384, 32768
RULES = (1, 1024, 16384)
WAYS = {"to-ce": ("to CE", 160), "from-ce": ("from CE", 170)}

# The goals are for one rule, and 1,024 rules may cost little more.
RULES_RATIO = 1.1


def measure(_runs: int) -> Iterator[Figure]:
    """Counts need no repetition."""
    for way, (name, bound) in WAYS.items():
        by_rules = {rules: instructions(way, "udp", rules) for rules in RULES}
        for rules, count in by_rules.items():
            goal = bound if rules == 1 else None
            yield Figure(f"engine, {name}, {rules} rule{'s' * (rules > 1)}", count, "instructions/packet", goal)
        yield Figure(f"engine, {name}, TCP, 1 rule", instructions(way, "tcp", 1), "instructions/packet", bound)
        ratio = by_rules[1024] / by_rules[1]
        yield Figure(f"engine, {name}, 1024 rules against 1", ratio, "times", RULES_RATIO)
    for way, (name, _) in WAYS.items():
        yield Figure(f"engine, {name}", allocations(way), "allocations/packet", 0)


def instructions(way: str, protocol: str, rules: int) -> float:
    progress(f"instructions: {way}, {protocol}, {rules} rules")
    few, many = (collected(way, protocol, rules, count) for count in (FEWER, MORE))
    return (many - few) / (MORE - FEWER)


def collected(way: str, protocol: str, rules: int, count: int) -> int:
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = run(*valgrind, build.PACKETS, way, protocol, rules, count)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def allocations(way: str) -> float:
    progress(f"allocations: {way}")
    done = run(build.PACKETS, way, "udp", 1024, MORE)
    return int(re.search(r"allocations (\d+)", done.stdout)[1]) / MORE


def run(*argv) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True)
