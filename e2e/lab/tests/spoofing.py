"""Sources that do not lead back to who sent the packet (RFC 7597 s.8.1): dropped, counted, and told."""

from dataclasses import dataclass
from ipaddress import IPv6Address

from lab import packets
from lab.customer import Customer
from lab.lab import Lab, eventually
from lab.packets import describe
from lab.relay import manifest
from lab.topology import BR, INTERNET
from lab.wire import send_ipv6

TRIES = 3


@dataclass(frozen=True)
class Lie:
    """A packet that a customer should not be able to send."""

    what: str
    outer: IPv6Address
    inner: bytes
    reason: str


def lies(honest: Customer, neighbour: Customer) -> list[Lie]:
    """What `honest` could try. `neighbour` shares its IPv4 address."""
    server = (INTERNET, 9)
    own = packets.udp((honest.public, honest.port), server, b"own")
    theirs = packets.udp((honest.public, neighbour.port), server, b"theirs")
    first64 = int(honest.prefix.network_address)
    identifier = int(honest.address) - first64
    return [
        Lie("a port of the neighbour's set", honest.address, theirs, "SpoofedSource"),
        Lie("an identifier (echo) of the neighbour's set", honest.address,
            packets.echo_request(honest.public, INTERNET, neighbour.port), "SpoofedSource"),
        Lie("another interface identifier", IPv6Address(first64 | 0xBAD), own, "SpoofedSource"),
        Lie("another End-user prefix", IPv6Address(first64 + (1 << 64) | identifier), own, "SpoofedSource"),
        Lie("the neighbour's CE address", neighbour.address, own, "SpoofedSource"),
        Lie("another customer's IPv4 address", honest.address,
            packets.udp(("67.91.205.77", honest.port), server, b"other"), "SpoofedSource"),
        Lie("an IPv4 address of no rule", honest.address, packets.udp(("192.0.2.7", 4096), server, b"none"), "NoRule"),
        Lie("a port that nobody owns", honest.address, packets.udp((honest.public, 1000), server, b"low"),
            "ReservedPort"),
        Lie("a protocol without ports", honest.address, packets.ipv4(honest.public, INTERNET, 47, b"\0" * 8), "NoPort"),
    ]


def test_spoofed_sources(lab: Lab):
    """nine kinds of lies: none gets out, each is counted by its reason and answered with ICMPv6 1/5"""
    honest, neighbour = lab.customers[:2]
    core, transit = lab.capture(lab.core, "relay"), lab.capture(lab.network.transit, "relay")
    with lab.relay() as relay:
        for lie in lies(honest, neighbour):
            drops, answers = relay.metrics().drops(), len(core.packets(is_refusal))
            send_ipv6(honest.ce, *[packets.encapsulate(lie.outer, BR, lie.inner)] * TRIES)
            expected = drops | {("from_ce", lie.reason): drops.get(("from_ce", lie.reason), 0) + TRIES}
            counted = eventually(lambda: relay.metrics().drops() == expected)
            assert counted, f"{lie.what}: expected {expected}, counted {relay.metrics().drops()}"
            assert eventually(lambda: len(core.packets(is_refusal)) == answers + TRIES), f"{lie.what}: not answered"
            for answer in core.packets(is_refusal)[answers:]:
                check_refusal(answer, lie)
        passed = transit.packets(lambda p: p.version == 4)
        assert not passed, f"on the IPv4 side: {[describe(packet) for packet in passed]}"
        assert relay.metrics().forwarded("from_ce") == 0


def is_refusal(packet: packets.Packet) -> bool:
    return packet.protocol == packets.ICMPV6 and packet.icmp == (1, 5)


def check_refusal(answer: packets.Packet, lie: Lie):
    """The answer comes from the BR address, goes to the source that was claimed, and shows what it is about."""
    assert (answer.source, answer.destination) == (BR, lie.outer), f"{lie.what}: {describe(answer)}"
    assert len(answer.raw) <= 1280, f"{lie.what}: the answer has {len(answer.raw)} bytes"
    assert answer.inner and answer.inner.inner, f"{lie.what}: the answer does not show the packet"
    assert answer.inner.inner.raw[:8] == lie.inner[:8], f"{lie.what}: the answer shows another packet"
    length = len(answer.payload).to_bytes(4, "big")
    pseudo = answer.source.packed + answer.destination.packed + length + b"\0\0\0\x3a"
    assert packets.checksum(pseudo + answer.payload) == 0, f"{lie.what}: the answer's checksum is wrong"


def test_spoofed_silent(lab: Lab):
    """sourceCheckErrors: Silent drops and counts, and says nothing"""
    honest, neighbour = lab.customers[:2]
    core = lab.capture(lab.core, "relay")
    with lab.relay(manifest(icmp={"sourceCheckErrors": "Silent"})) as relay:
        lie = lies(honest, neighbour)[0]
        send_ipv6(honest.ce, *[packets.encapsulate(lie.outer, BR, lie.inner)] * TRIES)
        send_ipv6(honest.ce, packets.encapsulate(honest.address, BR, honest_packet(honest)))
        assert eventually(lambda: relay.metrics().forwarded("from_ce") == 1), str(relay.metrics())
        assert relay.metrics().drops() == {("from_ce", "SpoofedSource"): TRIES}, relay.metrics().drops()
        assert not core.packets(is_refusal), "an answer was sent"


def test_spoofed_flood(lab: Lab):
    """a flood of lies is answered no more often than errorsPerSecond allows; what was held back is counted"""
    honest, neighbour = lab.customers[:2]
    core = lab.capture(lab.core, "relay")
    flood = 500
    with lab.relay(manifest(icmp={"errorsPerSecond": 10})) as relay:
        lie = lies(honest, neighbour)[0]
        send_ipv6(honest.ce, *[packets.encapsulate(lie.outer, BR, lie.inner)] * flood)
        assert eventually(lambda: relay.metrics().dropped("from_ce", "SpoofedSource") == flood), relay.metrics().drops()
        metrics = relay.metrics()
        sent = metrics.total("culvert_icmp_sent_total", kind="error")
        suppressed = metrics.total("culvert_icmp_suppressed_total", kind="error")
        assert sent + suppressed == flood, f"{sent} sent + {suppressed} suppressed of {flood}"
        assert 10 <= sent < flood, f"{sent} answers"
        assert eventually(lambda: len(core.packets(is_refusal)) == sent), "answers on the wire and counted differ"


def honest_packet(customer: Customer) -> bytes:
    return packets.udp((customer.public, customer.port), (INTERNET, 9), b"honest")
