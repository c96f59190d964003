"""All customers' traffic at once, and windows of time in it: what was sent in a window and has not come is lost."""

import select
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from cluster.fabric import Fabric
from lab.lab import eventually

from .flows import FROM_CE, TO_CE, WAYS, Connection, Datagrams, Flow, Way

DATAGRAMS = 8  # flows of each customer
CONNECTIONS = 2
RATE = 20  # records a second of each flow, each way
BEHIND = 0.2  # seconds that are made up for
SETTLE = 3  # seconds for what is on its way; TCP gets more, for its retransmissions
MEND = 20


@dataclass
class Gap:
    """Consecutive numbers of a flow that did not come."""

    way: Way
    numbers: list[int]

    def __str__(self) -> str:
        first, last = self.numbers[0], self.numbers[-1]
        which = f"{first}" if first == last else f"{first} to {last}"
        when = time.strftime("%H:%M:%S", time.localtime(self.way.sent_at[first]))
        return f"{self.way.name}: {len(self.numbers)} lost, {which}, from {when}.{self.way.sent_at[first] % 1 * 1000:03.0f}"


@dataclass
class Window:
    """A stretch of time, and what became of the records that were sent in it."""

    name: str
    customers: tuple[int, ...]
    sent: Counter = field(default_factory=Counter)  # by direction
    gaps: list[Gap] = field(default_factory=list)
    unfinished: int = 0  # records of TCP that did not come
    retransmitted: Counter = field(default_factory=Counter)
    seconds: float = 0

    def lost(self, direction: str | None = None) -> int:
        return sum(len(gap.numbers) for gap in self.gaps if direction in (None, gap.way.direction))

    def __str__(self) -> str:
        sent = sum(self.sent.values())
        return (f"{self.name}: {sent:,} records in {self.seconds:.1f} s, {self.lost()} datagrams lost, "
                f"{self.unfinished} TCP records missing, {self.retransmitted['again']} segments sent again "
                f"({self.retransmitted['needless']} needlessly)")

    def detail(self) -> str:
        return "\n".join([str(self), *map(str, self.gaps[:20])] + ["..."] * (len(self.gaps) > 20))


class Traffic:
    """Flows of all customers, both ways, at a steady rate, until the end of the block."""

    def __init__(self, fabric: Fabric, customers=(1, 2, 3), connections: int = CONNECTIONS, say=print):
        """`say` gets a line about every window."""
        self.fabric, self.say = fabric, say
        self.flows: list[Flow] = []
        for customer in (fabric.customer(number) for number in customers):
            for place in range(DATAGRAMS):
                self.flows.append(Datagrams(len(self.flows), customer, place))
            for place in range(DATAGRAMS, DATAGRAMS + connections):
                self.flows.append(Connection(len(self.flows), customer, place))
        self.windows: list[Window] = []
        self.going = threading.Event()
        self.error: Exception | None = None

    def __enter__(self) -> "Traffic":
        try:
            for flow in self.flows:
                flow.open(self.fabric)
        except BaseException:
            self.close()
            raise
        self.going.set()
        self.threads = [threading.Thread(target=self.guarded, args=(work,), daemon=True)
                        for work in (self.send, self.receive)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.going.clear()
        for thread in self.threads:
            thread.join(10)
        self.close()

    def close(self) -> None:
        for flow in self.flows:
            flow.close()

    def guarded(self, work) -> None:
        try:
            work()
        except Exception as error:
            self.error = error

    def send(self) -> None:
        """One record after the other, evenly. A moment that was lost to others is made up for, a long one is not."""
        turns = [(flow, way) for flow in self.flows for way in WAYS]
        pause = 1 / (RATE * len(turns))
        due = time.monotonic()
        while True:
            for flow, way in turns:
                if not self.going.is_set():
                    return
                flow.send(way)
                due = max(due + pause, time.monotonic() - BEHIND)
                if (early := due - time.monotonic()) > 0:
                    time.sleep(early)

    def receive(self) -> None:
        poll, ends = select.epoll(), {}
        for flow in self.flows:
            for way, (_, receiver) in flow.ends().items():
                ends[receiver.fileno()] = (flow, way)
                poll.register(receiver, select.EPOLLIN)
        while self.going.is_set():
            for number, _ in poll.poll(0.1):
                flow, way = ends[number]
                flow.receive(way)
        poll.close()

    def window(self, name: str, customers: tuple[int, ...] | None = None) -> "Measured":
        """What the block around it sends is counted, of these customers or of all."""
        return Measured(self, Window(name, customers or tuple({flow.customer.number for flow in self.flows})))

    def control(self, seconds: float = 4) -> Window:
        """The same traffic while nothing changes. It has to lose nothing, or nothing could be said of a change."""
        with self.window("control, no change") as control:
            time.sleep(seconds)
        assert control.lost() == 0 and control.unfinished == 0, f"lost without any change:\n{control.detail()}"
        return control

    def pause(self, seconds: float) -> None:
        """Lets the traffic flow for a while."""
        time.sleep(seconds)

    def check(self) -> None:
        """What may not be in any case: records that are not as they were sent, connections that end, a tool that failed."""
        if self.error:
            raise self.error
        broken = [flow.broken for flow in self.flows if isinstance(flow, Connection) and flow.broken]
        assert not broken, f"connections broke: {broken}"
        for flow in self.flows:
            for way in flow.ways.values():
                assert not way.damaged, f"{way.name}: {way.damaged} records came damaged"
                assert not way.strange, f"{way.name}: {way.strange} records came that belong elsewhere"
                assert not way.twice(), f"{way.name}: {way.twice()} records came twice"

    def late(self) -> int:
        """Datagrams that came after one with a higher number."""
        return sum(way.late for flow in self.flows for way in flow.ways.values() if isinstance(flow, Datagrams))


class Measured:
    """A window that is open."""

    def __init__(self, traffic: Traffic, window: Window):
        self.traffic, self.window = traffic, window
        self.flows = [flow for flow in traffic.flows if flow.customer.number in window.customers]

    def __enter__(self) -> Window:
        self.started = time.monotonic()
        self.first = self.numbers()
        self.again = self.retransmitted()
        return self.window

    def __exit__(self, kind, error, _traceback) -> None:
        if kind is not None:
            return
        self.end = self.numbers()
        self.window.seconds = time.monotonic() - self.started
        self.settle()
        for key, end in self.end.items():
            self.account(*key, self.first[key], end)
        self.window.retransmitted = self.retransmitted() - self.again
        self.traffic.windows.append(self.window)
        self.traffic.say(str(self.window))
        self.traffic.check()

    def account(self, flow: int, direction: str, first: int, end: int) -> None:
        flow = self.traffic.flows[flow]
        way = flow.ways[direction]
        self.window.sent[direction] += end - first
        missing = way.missing(first, end)
        if isinstance(flow, Connection):
            self.window.unfinished += len(missing)
        else:
            self.window.gaps += [Gap(way, numbers) for numbers in runs(missing)]

    def settle(self) -> None:
        eventually(lambda: not self.outstanding(Datagrams), SETTLE)
        eventually(lambda: not self.outstanding(Connection), MEND)

    def outstanding(self, kind: type) -> bool:
        return any(
            flow.ways[way].missing(self.first[flow.number, way], self.end[flow.number, way])
            for flow in self.flows if isinstance(flow, kind) for way in WAYS
        )

    def numbers(self) -> dict[tuple[int, str], int]:
        return {(flow.number, way): flow.ways[way].sent for flow in self.flows for way in (FROM_CE, TO_CE)}

    def retransmitted(self) -> Counter:
        return sum((flow.retransmitted(way) for flow in self.flows for way in WAYS), Counter())


def runs(numbers: list[int]) -> list[list[int]]:
    """Consecutive numbers together."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return found
