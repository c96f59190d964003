"""Datagrams that do not fit one packet, from and to real stacks."""

import os
import random

from lab import packets
from lab.customer import Customer
from lab.lab import Lab, eventually
from lab.relay import manifest
from lab.topology import BR, INTERNET
from lab.traffic import stream_in
from lab.wire import send_ipv4, send_ipv6, udp_socket

DATAGRAM = 8000


def test_large_datagrams(lab: Lab):
    """UDP datagrams of 8 KB, both ways at once with two CEs that share an address"""
    talk(lab, manifest())


def test_large_datagrams_joined(lab: Lab):
    """the same with reassembly.v4: Full"""
    talk(lab, manifest(reassembly={"v4": "Full"}))


def talk(lab: Lab, config: str):
    first, second = lab.customers[:2]
    assert first.public == second.public, "these two are to share an address"
    with lab.relay(config) as relay, udp_socket(lab.internet, str(INTERNET), 7000) as server:
        for customer in [first, second] * 5:
            question, answer = os.urandom(DATAGRAM), os.urandom(DATAGRAM)
            with udp_socket(customer.lan) as client:
                client.sendto(question, (str(INTERNET), 7000))
                received, sender = server.recvfrom(65_535)
                assert received == question, "what arrived on the Internet is not what was sent"
                server.sendto(answer, sender)
                assert client.recv(65_535) == answer, "what arrived at the customer is not what was sent"
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_large_pings(lab: Lab):
    """ping -s 3000, both ways and to the BR address"""
    with lab.relay() as relay:
        for customer in lab.customers:
            customer.lan.run("ping", "-c", "2", "-i", "0.1", "-W", "5", "-s", "3000", str(INTERNET))
            identifier = str(customer.port)
            lab.internet.run("ping", "-c", "2", "-i", "0.1", "-W", "5", "-s", "3000", "-e", identifier, str(customer.public))
        lab.core.run("ping", "-6", "-c", "2", "-i", "0.1", "-W", "5", "-s", "3000", str(BR))
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_disorder(lab: Lab):
    """fragments reversed, shuffled, doubled and of two datagrams at once still arrive as the datagrams they were"""
    disorder_to_ce(lab, manifest(), doubled=1)


def test_disorder_joined(lab: Lab):
    """the same, none doubled, with reassembly.v4: Full"""
    disorder_to_ce(lab, manifest(reassembly={"v4": "Full"}), doubled=0)


def disorder_to_ce(lab: Lab, config: str, doubled: int):
    order = random.Random(7597)
    with lab.relay(config) as relay:
        hosts = {customer.number: udp_socket(customer.lan, port=customer.port) for customer in lab.customers[:2]}
        for number in range(20):
            contents = {customer.number: os.urandom(5000) for customer in lab.customers[:2]}
            pieces = []
            for customer in lab.customers[:2]:
                cut_up = fragments(customer, contents[customer.number], 100 + 2 * number + customer.number)
                pieces += cut_up if number % 2 else cut_up[::-1] + cut_up[:doubled]
            if number:
                order.shuffle(pieces)
            send_ipv4(lab.internet, *pieces)
            for customer in lab.customers[:2]:
                assert hosts[customer.number].recv(65_535) == contents[customer.number], f"datagram {number}"
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_disorder_from_ce(lab: Lab):
    """the same from two CEs that share an address"""
    order, senders = random.Random(7597), lab.customers[:2]
    with lab.relay() as relay, udp_socket(lab.internet, str(INTERNET), 7000) as server:
        for number in range(20):
            contents = {customer.number: os.urandom(5000) for customer in senders}
            for customer in senders:
                whole = packets.udp((customer.public, customer.port), (INTERNET, 7000), contents[customer.number])
                cut_up = cut(whole, 100 + 2 * number + customer.number)[::-1]
                pieces = cut_up + cut_up[:1]
                if number:
                    order.shuffle(pieces)
                send_ipv6(customer.ce, *[packets.encapsulate(customer.address, BR, piece) for piece in pieces])
            arrived = {server.recv(65_535) for _ in senders}
            assert arrived == set(contents.values()), f"datagram {number}"
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def fragments(customer: Customer, data: bytes, identification: int) -> list[bytes]:
    """A UDP datagram from the Internet to a customer's first port, in fragments."""
    return cut(packets.udp((INTERNET, 9), (customer.public, customer.port), data), identification)


def cut(whole: bytes, identification: int, step: int = 1000) -> list[bytes]:
    """An IPv4 packet in fragments."""
    packet = packets.parse(whole)
    return [
        packets.ipv4(packet.source, packet.destination, packet.protocol, packet.payload[at : at + step],
                     identification=identification,
                     fragment=at // 8 | (0x2000 if at + step < len(packet.payload) else 0))
        for at in range(0, len(packet.payload), step)
    ]


def test_spoofed_fragment(lab: Lab):
    """a later fragment from another CE never goes with a datagram whose first fragment proved its own"""
    honest, thief = lab.customers[:2]
    internet = lab.capture(lab.internet, "transit")
    with lab.relay() as relay:
        whole = packets.udp((honest.public, honest.port), (INTERNET, 9), b"honest" * 100)[20:]
        first = packets.ipv4(honest.public, INTERNET, 17, whole[:304], identification=9, fragment=0x2000)
        rest = packets.ipv4(honest.public, INTERNET, 17, whole[304:], identification=9, fragment=38)
        for sender, piece in [(thief, rest), (honest, first), (thief, rest)]:
            send_ipv6(sender.ce, packets.encapsulate(sender.address, BR, piece))
        assert internet.wait(lambda p: p.version == 4 and p.source == honest.public), "the first fragment did not come"
        expired = eventually(lambda: relay.metrics().dropped("from_ce", "ReassemblyTimeout") == 2)
        assert expired, relay.metrics().drops()
        assert len(internet.received(lambda p: p.version == 4 and p.source == honest.public)) == 1


def test_flood(lab: Lab):
    """a flood of lone fragments to one address: memory is bounded, and large datagrams to another pass untouched"""
    victim, other, clean = lab.customers
    with lab.relay(manifest(reassembly={"maxDatagrams": 1000})) as relay:
        host = udp_socket(clean.lan, port=clean.port)
        stream = stream_in(lab, other)
        for number in range(20):
            flood = [later_fragment(victim, 1 + 1000 * number + identification) for identification in range(1000)]
            send_ipv4(lab.internet, *flood)
            content = os.urandom(5000)
            send_ipv4(lab.internet, *fragments(clean, content, 1 + number)[::-1])
            assert host.recv(65_535) == content, f"datagram {number}"
        stream.stop()
        assert stream.loss() is None, stream.loss()
        metrics = relay.metrics()
        assert metrics.total("culvert_reassembly_datagrams") <= 1000, str(metrics)
        assert metrics.dropped("to_ce", "ReassemblyFull") > 10_000, metrics.drops()
        assert metrics.tun_drops() == 0, "the flood did not reach the relay"
        gone = eventually(lambda: relay.metrics().total("culvert_reassembly_bytes") == 0, 30)
        assert gone, "what waited too long is still there"
        metrics = relay.metrics()
        lost = metrics.dropped("to_ce", "ReassemblyFull") + metrics.dropped("to_ce", "ReassemblyTimeout")
        assert lost == 20_000, f"20,000 fragments went nowhere, {lost} are counted"


def later_fragment(customer: Customer, identification: int) -> bytes:
    source = f"203.0.113.{11 + identification % 200}"
    return packets.ipv4(source, customer.public, 17, b"\0" * 64, identification=identification % 65_536, fragment=100)
