"""The packets themselves, on both sides of the relay."""

from lab import packets
from lab.lab import Lab
from lab.packets import describe
from lab.topology import BR, INTERNET
from lab.traffic import connect, web_server
from lab.wire import udp_socket


def test_mapping(lab: Lab):
    """67.91.205.2 port 6600 is 2001:db8:ce:29c:0:435b:cd02:9c on the wire, both ways, and nothing else changes"""
    customer = lab.customers[0]
    core, internet = lab.capture(lab.core, "relay"), lab.capture(lab.internet, "transit")
    for node, device in ((customer.lan, "ce"), (lab.internet, "transit")):
        node.run("ethtool", "-K", device, "tx", "off")  # else checksums are still missing where the packets are heard
    with lab.relay():
        server = udp_socket(lab.internet, str(INTERNET), 443)
        client = udp_socket(customer.lan, port=6600)
        client.sendto(b"question", (str(INTERNET), 443))
        question, sender = server.recvfrom(100)
        assert (question, sender) == (b"question", ("67.91.205.2", 6600)), (question, sender)
        server.sendto(b"answer", sender)
        assert client.recv(100) == b"answer"

        asked = only(core.packets(lambda p: p.destination == BR and p.protocol == packets.IPIP))
        assert str(asked.source) == "2001:db8:ce:29c:0:435b:cd02:9c", describe(asked)
        arrived = only(internet.received(lambda p: p.protocol == packets.UDP))
        same_but_for_ttl(asked.inner, arrived, hops=2)  # relay, transit

        answered = only(internet.sent(lambda p: p.protocol == packets.UDP))
        tunnelled = only(core.packets(lambda p: p.source == BR and p.protocol == packets.IPIP))
        assert str(tunnelled.destination) == "2001:db8:ce:29c:0:435b:cd02:9c", describe(tunnelled)
        # The relay writes 64, and its host takes one when it forwards the packet from the TUN.
        assert tunnelled.ttl == 63, f"the outer hop limit is {tunnelled.ttl} behind the relay"
        assert tunnelled.raw[1:4] != b"\0\0\0", "the outer flow label is zero"
        same_but_for_ttl(answered, tunnelled.inner, hops=2)


def only(found: list[packets.Packet]) -> packets.Packet:
    assert len(found) == 1, f"{len(found)} packets where one was expected: {[describe(packet) for packet in found]}"
    return found[0]


def same_but_for_ttl(before: packets.Packet, after: packets.Packet, hops: int):
    assert after.ttl == before.ttl - hops, f"TTL {before.ttl} became {after.ttl} over {hops} hops"
    assert packets.checksum(after.raw[:20]) == 0, "the IPv4 header checksum is wrong"
    unchanged = [slice(0, 8), slice(9, 10), slice(12, None)]  # all but TTL and header checksum
    same = all(before.raw[part] == after.raw[part] for part in unchanged)
    assert same, f"{describe(before)} became {describe(after)}: {before.raw.hex()}, {after.raw.hex()}"


def test_mss_clamp(lab: Lab):
    """TCP SYNs leave the relay with an MSS that fits the tunnel (1420), both ways; a smaller one stays"""
    customer = lab.customers[0]
    core, internet = lab.capture(lab.core, "relay"), lab.capture(lab.internet, "transit")
    with lab.relay():
        web_server(lab, size=1)
        for offered in (1460, 1300):
            connect(customer.lan, mss=offered)
        syns = [packets.mss(p) for p in internet.received(packets.is_syn)]
        answers = [packets.mss(p.inner) for p in core.packets(lambda p: p.source == BR and packets.is_syn(p.innermost))]
        assert syns == [1420, 1300], f"SYNs arrived on the Internet with MSS {syns}"
        assert answers == [1420, 1420], f"SYN ACKs arrived at the CE with MSS {answers}"
