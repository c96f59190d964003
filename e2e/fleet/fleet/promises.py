"""What docs/reliability.md says beforehand of each fault, and whether it was kept."""

import contextlib
import re
import time
from dataclasses import dataclass
from typing import Iterator

from lab.lab import REPOSITORY

from .failover import WATCHED, quiet
from .meter import Counted, Meter
from .scene import Scene

TABLE = REPOSITORY / "docs" / "reliability.md"
RATE = 2000  # datagrams a second, each way: the machine has a cluster to run as well
ROW = re.compile(r"\|(?P<fault>[^|]+)\|(?P<happens>[^|]+)\| *(?P<lost>nothing|\d+ ms) *\| *`(?P<test>[a-z-]+)` *\|")


@dataclass(frozen=True)
class Promise:
    """A row of the table."""

    fault: str
    milliseconds: int  # the longest gap that may be; none if nothing may be lost

    def __str__(self) -> str:
        return f"at most {self.milliseconds} ms" if self.milliseconds else "nothing"


def promises() -> dict[str, Promise]:
    """By the name of the test that shows it."""
    rows = map(ROW.match, TABLE.read_text().splitlines())
    return {row["test"]: Promise(row["fault"].strip(), milliseconds(row["lost"])) for row in rows if row}


def milliseconds(lost: str) -> int:
    return 0 if lost == "nothing" else int(lost.split()[0])


class Trial:
    """A fleet under traffic, to which something is about to happen."""

    def __init__(self, scene: Scene, meter: Meter):
        self.scene, self.meter = scene, meter

    @contextlib.contextmanager
    def fault(self, what: str) -> Iterator[None]:
        """What happens in the block, and a moment afterwards, loses as much as this test's row allows."""
        promise = promises()[self.scene.name]
        with self.meter.window(what) as counted:
            yield
            time.sleep(WATCHED)
        self.say(counted, promise)
        if not promise.milliseconds:
            assert counted.lost_nothing(), counted.detail()
            return
        quiet(self.meter)  # and no more than that

    @contextlib.contextmanager
    def nothing(self, what: str) -> Iterator[None]:
        """What happens in the block loses nothing."""
        with self.meter.window(what) as counted:
            yield
            time.sleep(WATCHED)
        self.say(counted, Promise(what, 0))
        assert counted.lost_nothing(), counted.detail()

    def say(self, counted: Counted, promise: Promise) -> None:
        """As `make failover` does: a time that was missed is told, and fails no test."""
        missed = promise.milliseconds and counted.outage > promise.milliseconds
        self.scene.say(f"{counted}; promised: {promise}{', **missed**' if missed else ''}")


@contextlib.contextmanager
def traffic(scene: Scene) -> Iterator[Trial]:
    """Counted traffic both ways, which loses nothing before anything happens."""
    with scene.meter(rate=RATE) as meter:
        quiet(meter)
        yield Trial(scene, meter)
