"""The largest packets there are."""

import errno
import os
import socket

from lab import packets
from lab.lab import Lab
from lab.packets import describe
from lab.relay import manifest
from lab.topology import BR, INTERNET, RELAY_SOURCE
from lab.wire import send_ipv4, set_dont_fragment, udp_socket

JUMBO = 16_384  # the largest mtu.v6
FITS = JUMBO - 40
LARGEST = 65_535
DATA = LARGEST - 28  # what the largest UDP datagram carries


def test_jumbo(lab: Lab):
    """mtu.v6: 16384: an IPv4 packet of 16,344 bytes with DF passes whole, both ways; one byte more is ICMP 3/4 with 16344"""
    customer = lab.customers[0]
    lab.network.carry(JUMBO)
    core, transit = lab.capture(lab.relay_node, "core"), lab.capture(lab.relay_node, "transit")
    with lab.relay(manifest(mtu={"v6": JUMBO})) as relay:
        host, server = udp_socket(customer.lan, port=customer.port), udp_socket(lab.internet, str(INTERNET), 7000)
        send_ipv4(lab.internet, with_df(customer, FITS))
        assert len(host.recv(LARGEST)) == FITS - 28
        set_dont_fragment(host, True)
        host.sendto(b"\0" * (FITS - 28), (str(INTERNET), 7000))
        assert len(server.recv(LARGEST)) == FITS - 28
        for heard in (core.sent(is_udp), core.received(is_udp)):
            assert [len(p.raw) for p in heard] == [JUMBO], [describe(p) for p in heard]
        for heard in (transit.sent(is_udp), transit.received(is_udp)):
            assert [(len(p.raw), p.dont_fragment) for p in heard] == [(FITS, True)], [describe(p) for p in heard]

        send_ipv4(lab.internet, with_df(customer, FITS + 1))
        error = transit.wait(lambda p: p.version == 4 and p.icmp == (3, 4))
        assert error and (error.source, error.mtu) == (RELAY_SOURCE, FITS), error and describe(error)
        assert relay.metrics().drops() == {("to_ce", "TooBig"): 1}, relay.metrics().drops()
        check_own_limit(host)


def with_df(customer, size: int) -> bytes:
    return packets.udp((INTERNET, 9), (customer.public, customer.port), b"\0" * (size - 28), dont_fragment=True)


def is_udp(packet: packets.Packet) -> bool:
    return packet.innermost.version == 4 and packet.innermost.protocol == packets.UDP


def check_own_limit(host: socket.socket) -> None:
    """The customer's host knows by itself what its tunnel carries."""
    try:
        host.sendto(b"\0" * (FITS - 27), (str(INTERNET), 7000))
    except OSError as error:
        assert error.errno == errno.EMSGSIZE, error
    else:
        raise AssertionError("a packet left that the customer's own tunnel does not carry")


def test_largest_datagrams(lab: Lab):
    """UDP datagrams and pings of 65,535 bytes in fragments of 1500, both ways, with CEs that share an address"""
    send_largest(lab, manifest())
    ping_largest(lab)


def test_largest_datagrams_joined(lab: Lab):
    """the same datagrams with reassembly.v4: Full"""
    send_largest(lab, manifest(reassembly={"v4": "Full"}))


def test_largest_packets(lab: Lab):
    """links of 65,535 bytes: the same in one packet up to the relay, which cuts them to mtu.v6; from CEs as large as a tunnel packet gets"""
    lab.network.carry(LARGEST)
    core, transit = lab.capture(lab.relay_node, "core"), lab.capture(lab.relay_node, "transit")
    send_largest(lab, manifest(mtu={"v6": JUMBO}))
    whole = transit.received(lambda p: p.version == 4)
    assert whole and {len(p.raw) for p in whole} == {LARGEST}, [describe(p) for p in whole]
    cut = core.sent(lambda p: p.protocol == packets.IPIP)
    assert len(cut) == 5 * len(whole) and max(len(p.raw) for p in cut) <= JUMBO, [describe(p) for p in cut]
    tunnelled = core.received(lambda p: p.protocol == packets.IPIP)
    assert max(len(p.raw) for p in tunnelled) > LARGEST - 8, [describe(p) for p in tunnelled]


def send_largest(lab: Lab, config: str) -> None:
    """Datagrams to and from two customers on one address."""
    with lab.relay(config) as relay, udp_socket(lab.internet, str(INTERNET), 7000) as server:
        set_dont_fragment(server, False)
        for customer in lab.customers[:2]:
            with udp_socket(customer.lan, port=customer.port) as host:
                question, answer = os.urandom(DATA), os.urandom(DATA)
                host.sendto(question, (str(INTERNET), 7000))
                received, sender = server.recvfrom(LARGEST)
                assert received == question, "what arrived on the Internet is not what was sent"
                assert sender == (str(customer.public), customer.port), sender
                server.sendto(answer, sender)
                assert host.recv(LARGEST) == answer, "what arrived at the customer is not what was sent"
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def ping_largest(lab: Lab) -> None:
    with lab.relay() as relay:
        for customer in lab.customers[:2]:
            customer.lan.run("ping", "-c", "1", "-W", "5", "-s", str(DATA), str(INTERNET))
            lab.internet.run("ping", "-c", "1", "-W", "5", "-s", str(DATA), "-e", str(customer.port), str(customer.public))
        lab.core.run("ping", "-6", "-c", "1", "-W", "5", "-s", str(LARGEST - 8), str(BR))
        assert relay.metrics().drops() == {}, relay.metrics().drops()
