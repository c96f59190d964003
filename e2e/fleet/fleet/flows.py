"""Flows between customers and the Internet: each carries numbered records both ways, and both ends count.

A datagram that does not come is a gap in the numbers. TCP mends its gaps itself: there a loss shows as a retransmission,
and a record that is missing or damaged, or a connection that ended, as a failure.
"""

import contextlib
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field

from cluster.fabric import INTERNET, Fabric
from lab.customer import Customer
from lab.wire import udp_socket

from . import records

FROM_CE, TO_CE = "from_ce", "to_ce"
WAYS = (FROM_CE, TO_CE)
HELLO = b"hello"
FIRST_PORT = 7000  # of the Internet's ends
PATIENCE = 20  # seconds for a flow to begin
RETRANSMITTED, NEEDLESS = 100, 216  # where struct tcp_info has tcpi_total_retrans and tcpi_dsack_dups (linux/tcp.h)


@dataclass
class Way:
    """One direction of one flow."""

    flow: int
    direction: str
    name: str
    sent: int = 0
    sent_at: list[float] = field(default_factory=list)
    arrived: bytearray = field(default_factory=bytearray)  # how often each number came
    highest: int = -1
    late: int = 0  # came after a higher number
    damaged: int = 0
    strange: int = 0

    def next_record(self) -> bytes:
        record = records.encode(self.flow, WAYS.index(self.direction), self.sent)
        self.sent_at.append(time.time())
        self.arrived.append(0)
        self.sent += 1
        return record

    def take_back(self) -> None:
        """The record that was made last could not be sent."""
        self.sent -= 1
        self.sent_at.pop()
        self.arrived.pop()

    def take(self, record: bytes) -> None:
        """Counts what came."""
        try:
            flow, way, number = records.decode(record)
        except records.Damaged:
            self.damaged += record != HELLO
            return
        if (flow, WAYS[way]) != (self.flow, self.direction) or number >= self.sent:
            self.strange += 1
            return
        self.arrived[number] = min(self.arrived[number] + 1, 255)
        self.late += number < self.highest
        self.highest = max(self.highest, number)

    def missing(self, first: int, end: int) -> list[int]:
        return [number for number in range(first, end) if not self.arrived[number]]

    def twice(self) -> int:
        return sum(count > 1 for count in self.arrived)


class Flow:
    """A customer's socket and an Internet host's, and what goes between them."""

    def __init__(self, number: int, kind: str, customer: Customer, place: int):
        self.number, self.customer = number, customer
        self.inside = customer.ports[place % len(customer.ports)].start + 8  # a port that the CE owns
        self.outside = (str(INTERNET[number % len(INTERNET)]), FIRST_PORT + number)
        ends = {
            FROM_CE: f"ce{customer.number}:{self.inside} -> {self.outside[0]}:{self.outside[1]}",
            TO_CE: f"{self.outside[0]}:{self.outside[1]} -> ce{customer.number}:{self.inside}",
        }
        self.ways = {way: Way(number, way, f"{kind} {ends[way]}") for way in WAYS}

    def ends(self) -> dict[str, tuple[socket.socket, socket.socket]]:
        """For each direction, who sends and who receives."""
        return {FROM_CE: (self.lan, self.internet), TO_CE: (self.internet, self.lan)}

    def close(self) -> None:
        for end in ("lan", "internet"):
            with contextlib.suppress(AttributeError, OSError):
                getattr(self, end).close()


class Datagrams(Flow):
    """A flow of UDP datagrams."""

    def __init__(self, number: int, customer: Customer, place: int):
        super().__init__(number, "UDP", customer, place)

    def open(self, fabric: Fabric) -> None:
        """Opens both ends and says hello until both have heard: the customer's NAPT knows the flow then."""
        public = (str(self.customer.public), self.inside)
        self.lan = udp_socket(self.customer.lan, port=self.inside)
        self.internet = udp_socket(fabric.internet, *self.outside)
        self.lan.connect(self.outside)
        self.internet.connect(public)
        for sender, receiver in self.ends().values():
            greet(sender, receiver, self.ways[FROM_CE].name)
        for end in (self.lan, self.internet):
            end.setblocking(False)

    def send(self, direction: str) -> None:
        way = self.ways[direction]
        sender, _ = self.ends()[direction]
        record = way.next_record()
        try:
            sender.send(record)
        except BlockingIOError:
            way.take_back()
        except OSError:  # somebody's ICMP error about an earlier one; or there is no route: then it is missing
            with contextlib.suppress(OSError):
                sender.send(record)

    def receive(self, direction: str) -> None:
        _, receiver = self.ends()[direction]
        for _ in range(64):
            try:
                self.ways[direction].take(receiver.recv(4096))
            except BlockingIOError:
                return
            except OSError:  # an ICMP error; what was lost is missing by its number
                continue

    def retransmitted(self, _direction: str) -> Counter:
        return Counter()


def greet(sender: socket.socket, receiver: socket.socket, name: str) -> None:
    receiver.settimeout(0.2)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            sender.send(HELLO)
            if receiver.recv(4096) == HELLO:
                return
    raise AssertionError(f"{name}: no packet crosses the fleet")


class Connection(Flow):
    """A TCP connection; even ones are opened by the customer, odd ones by the Internet."""

    def __init__(self, number: int, customer: Customer, place: int):
        super().__init__(number, "TCP", customer, place)
        self.streams = {way: bytearray() for way in WAYS}
        self.unsent = {way: b"" for way in WAYS}
        self.broken: str | None = None

    def open(self, fabric: Fabric) -> None:
        outward = self.number % 2 == 0
        server, client = (fabric.internet, self.customer.lan) if outward else (self.customer.lan, fabric.internet)
        here = self.outside if outward else ("0.0.0.0", self.inside)
        there = self.outside if outward else (str(self.customer.public), self.inside)
        with server.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(here)
            listening.listen()
            opener = client.socket(socket.AF_INET, socket.SOCK_STREAM)
            opener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opener.bind(("0.0.0.0", self.inside) if outward else self.outside)
            opener.settimeout(PATIENCE)
            listening.settimeout(PATIENCE)
            opener.connect(there)
            accepted, _ = listening.accept()
        self.lan, self.internet = (opener, accepted) if outward else (accepted, opener)
        for end in (self.lan, self.internet):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setblocking(False)

    def send(self, direction: str) -> None:
        sender, _ = self.ends()[direction]
        record = self.unsent[direction] or self.ways[direction].next_record()
        try:
            self.unsent[direction] = record[sender.send(record) :]
        except BlockingIOError:
            self.unsent[direction] = record
        except OSError as error:
            self.broken = self.broken or f"{self.ways[direction].name}: {error}"

    def receive(self, direction: str) -> None:
        _, receiver = self.ends()[direction]
        stream = self.streams[direction]
        try:
            stream += receiver.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            self.broken = self.broken or f"{self.ways[direction].name}: {error}"
        while record := records.cut_off(stream):
            self.ways[direction].take(record)

    def retransmitted(self, direction: str) -> Counter:
        """How many segments its sender has sent again, and how many of these the other end already had (RFC 2883)."""
        sender, _ = self.ends()[direction]
        info = sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        places = {"again": RETRANSMITTED, "needless": NEEDLESS}
        return Counter({what: struct.unpack_from("=I", info, place)[0] for what, place in places.items()})
