"""ICMP errors about a CE's packets find that CE, by the port inside."""

import errno
import socket
import struct

from lab import packets
from lab.lab import Lab, eventually
from lab.topology import BR, CORE, INTERNET, RELAY_SOURCE, TRANSIT
from lab.wire import send_ipv6, udp_socket

IP_RECVERR = 11
ERRQUEUE = 0x2000


def test_icmp_error_port_unreachable(lab: Lab):
    """port unreachable from the Internet reaches the socket it is about, at the right CE of two on one address"""
    for right, wrong in pairs(lab):
        with lab.relay() as relay:
            at_right, at_wrong = lab.capture(right.ce, "lan"), lab.capture(wrong.ce, "lan")
            code, source = error_for(right.lan, ttl=64)
            assert (code, source) == ((3, 3), str(INTERNET)), (code, source)
            check_who_heard(at_right, at_wrong, (3, 3))
            assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_icmp_error_time_exceeded(lab: Lab):
    """time exceeded from a router reaches the socket it is about, at the right CE of two on one address"""
    for right, wrong in pairs(lab):
        with lab.relay() as relay:
            at_right, at_wrong = lab.capture(right.ce, "lan"), lab.capture(wrong.ce, "lan")
            code, source = error_for(right.lan, ttl=2)  # the relay is the first hop, transit the second
            assert (code, source) == ((11, 0), str(TRANSIT)), (code, source)
            check_who_heard(at_right, at_wrong, (11, 0))
            assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_icmp_error_from_ce(lab: Lab):
    """port unreachable from a customer's host passes the source check and reaches the socket on the Internet"""
    with lab.relay() as relay:
        for customer in lab.customers:
            client = udp_socket(lab.internet)
            client.connect((str(customer.public), customer.port))
            code, source = provoke(client)
            assert (code, source) == ((3, 3), str(customer.public)), (code, source)
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_icmpv6_error_is_relayed(lab: Lab):
    """the core's ICMPv6 error about a packet to a CE that is not there reaches the sender as host unreachable, from the relay"""
    core = lab.capture(lab.core, "relay")
    with lab.relay() as relay:
        client = udp_socket(lab.internet)
        client.connect(("67.91.205.9", 6600))
        code, source = provoke(client)
        assert (code, source) == ((3, 1), str(RELAY_SOURCE)), (code, source)
        assert core.wait(lambda p: p.protocol == packets.ICMPV6 and p.icmp == (1, 0)), "the core sent no error"
        assert relay.metrics().total("culvert_icmp_sent_total", kind="relayed_error") == 1, str(relay.metrics())
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_forged_icmpv6_error(lab: Lab):
    """an ICMPv6 error about a packet that the relay never sent goes nowhere, and is counted as forged"""
    victim, internet = lab.customers[0], lab.capture(lab.internet, "transit")
    with lab.relay() as relay:
        inner = packets.udp((INTERNET, 9), (victim.public, 80), b"never sent")
        quoted = packets.encapsulate(BR, victim.address, inner)
        send_ipv6(lab.core, packets.icmpv6(CORE, BR, 1, 0, quoted))
        counted = eventually(lambda: relay.metrics().drops() == {("from_ce", "ForgedIcmp"): 1})
        assert counted, relay.metrics().drops()
        assert internet.received(lambda p: p.version == 4 and p.icmp == (3, 1)) == []


def pairs(lab: Lab):
    one, other = lab.customers[:2]
    assert one.public == other.public
    return ((one, other), (other, one))


def error_for(node, ttl: int) -> tuple[tuple[int, int], str]:
    """Sends a packet to a port where nobody listens; the error that the sending socket gets."""
    client = udp_socket(node)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    client.connect((str(INTERNET), 9))
    return provoke(client)


def provoke(client: socket.socket) -> tuple[tuple[int, int], str]:
    """ICMP type and code, and who sent it, as the kernel tells a program (struct sock_extended_err, ip(7))."""
    client.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    client.send(b"anybody there?")
    told = eventually(lambda: next_error(client))
    assert told, "the socket was told of no error"
    number, _, kind, code = struct.unpack("IBBB", told[:7])
    assert number in (errno.ECONNREFUSED, errno.EHOSTUNREACH), errno.errorcode.get(number)
    return (kind, code), socket.inet_ntoa(told[20:24])


def next_error(client: socket.socket) -> bytes | None:
    try:
        _, notes, _, _ = client.recvmsg(100, 512, ERRQUEUE | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    return next(data for level, kind, data in notes if (level, kind) == (socket.IPPROTO_IP, IP_RECVERR))


def check_who_heard(at_right, at_wrong, icmp: tuple[int, int]):
    heard = [len(capture.packets(lambda p: p.version == 4 and p.icmp == icmp)) for capture in (at_right, at_wrong)]
    assert heard == [1, 0], f"the error was heard {heard[0]} times at the right CE, {heard[1]} times at the other"
