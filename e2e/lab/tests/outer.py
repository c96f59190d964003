"""Tunnel packets in IPv6 fragments, from and to CEs that are Linux."""

import os
import random

from lab import packets
from lab.customer import Customer, reassemble_outer
from lab.lab import Lab, eventually
from lab.packets import Packet, describe
from lab.relay import manifest
from lab.topology import BR, INTERNET
from lab.wire import send_ipv6, set_dont_fragment, udp_socket

SIZES = (1500, 8000, 65_507)


def test_outer_to_ce(lab: Lab):
    """fragmentation: Outer: datagrams reach CEs that put IPv6 fragments together, two on one address"""
    talk(lab, manifest(fragmentation="Outer"))


def test_outer_to_ce_joined(lab: Lab):
    """the same with reassembly.v4: Full: a datagram of 65,535 bytes is one tunnel packet"""
    core = lab.capture(lab.core, "relay")
    talk(lab, manifest(fragmentation="Outer", reassembly={"v4": "Full"}))
    last = [p for p in core.received(is_fragment) if not p.payload[3] & 1]
    assert len(last) == 2 * len(SIZES), [describe(p) for p in last]


def talk(lab: Lab, config: str) -> None:
    core = lab.capture(lab.core, "relay")
    for customer in lab.customers[:2]:
        reassemble_outer(customer)
    with lab.relay(config) as relay, udp_socket(lab.internet, str(INTERNET)) as server:
        for customer in lab.customers[:2]:
            with udp_socket(customer.lan, port=customer.port) as host:
                for size in SIZES:
                    content = os.urandom(size)
                    server.sendto(content, (str(customer.public), customer.port))
                    assert host.recv(65_535) == content, f"{size} bytes did not arrive as they were sent"
        assert relay.metrics().drops() == {}, relay.metrics().drops()
    pieces = core.received(is_fragment)
    assert pieces and max(len(p.raw) for p in core.received()) <= 1500, [describe(p) for p in pieces]


def test_outer_from_linux(lab: Lab):
    """a CE's own Linux cuts tunnel packets into IPv6 fragments; the relay puts them together"""
    customer, core = lab.customers[0], lab.capture(lab.core, "relay")
    customer.ce.ip(f"route change default encap seg6 mode encap.red segs {BR} dev core src {customer.public} mtu 4000")
    with lab.relay() as relay, udp_socket(lab.internet, str(INTERNET), 7000) as server:
        with udp_socket(customer.ce, str(customer.public), customer.port) as own:
            set_dont_fragment(own, False)
            for size in (1440, 3000, 3900, 20_000):
                content = os.urandom(size)
                own.sendto(content, (str(INTERNET), 7000))
                assert server.recv(65_535) == content, f"{size} bytes did not arrive as they were sent"
        assert relay.metrics().drops() == {}, relay.metrics().drops()
    assert len(core.sent(is_fragment)) > 15, "Linux sent no IPv6 fragments, so this test shows nothing"


def test_outer_disorder(lab: Lab):
    """IPv6 fragments of up to 65,535 bytes reversed, shuffled and of two CEs at once; a doubled one is counted"""
    order, senders = random.Random(2473), lab.customers[:2]
    with lab.relay() as relay, udp_socket(lab.internet, str(INTERNET), 7000) as server:
        for number, size in enumerate((1500, 8000, 30_000, 65_507)):
            contents = {customer.number: os.urandom(size) for customer in senders}
            pieces = {customer.number: fragments(customer, contents[customer.number], number) for customer in senders}
            if number == 0:
                for customer in senders:
                    first, last = pieces[customer.number]
                    send_ipv6(customer.ce, last, last, first)
            else:
                send_in_turn(order, [(customer, pieces[customer.number]) for customer in senders])
            arrived = {server.recv(65_535) for _ in senders}
            assert arrived == set(contents.values()), f"datagrams of {size} bytes did not arrive as they were sent"
        assert relay.metrics().drops() == {("from_ce", "DuplicateFragment"): 2}, relay.metrics().drops()


def send_in_turn(order: random.Random, sets: list[tuple[Customer, list[bytes]]]) -> None:
    """Sends every customer's fragments, in any order."""
    pieces = [(customer, piece) for customer, cut_up in sets for piece in cut_up]
    order.shuffle(pieces)
    for customer, piece in pieces:
        send_ipv6(customer.ce, piece)


def test_outer_disabled(lab: Lab):
    """reassembly.v6: Disabled: IPv6 fragments are dropped and counted, whole tunnel packets pass"""
    customer = lab.customers[0]
    with lab.relay(manifest(reassembly={"v6": "Disabled"})) as relay:
        pieces = fragments(customer, b"\0" * 3000, 1)
        send_ipv6(customer.ce, *pieces)
        expected = {("from_ce", "FragmentsDisabled"): len(pieces)}
        assert eventually(lambda: relay.metrics().drops() == expected), relay.metrics().drops()
        customer.lan.run("ping", "-c", "1", "-W", "5", str(INTERNET))


def fragments(customer: Customer, data: bytes, identification: int) -> list[bytes]:
    inner = packets.udp((customer.public, customer.port), (INTERNET, 7000), data)
    return packets.outer_fragments(customer.address, BR, inner, identification)


def is_fragment(packet: Packet) -> bool:
    return packet.protocol == packets.FRAGMENT
