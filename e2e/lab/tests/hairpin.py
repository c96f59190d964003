"""CE to CE through the relay."""

import os

from lab import packets
from lab.lab import Lab
from lab.relay import manifest
from lab.topology import BR
from lab.traffic import download, web_server
from lab.wire import udp_socket


def test_hairpin_shared_address(lab: Lab):
    """two CEs that share 67.91.205.2 talk to each other, one TTL lost at the relay"""
    talk(lab, lab.customers[0], lab.customers[1])


def test_hairpin_other_address(lab: Lab):
    """two CEs with addresses of their own talk to each other"""
    talk(lab, lab.customers[0], lab.customers[2])


def talk(lab: Lab, here, there):
    core = lab.capture(lab.core, "relay")
    transit = lab.capture(lab.network.transit, "relay")
    with lab.relay() as relay:
        one, other = udp_socket(here.lan, port=here.port), udp_socket(there.lan, port=there.port)
        one.sendto(b"question", (str(there.public), there.port))
        question, sender = other.recvfrom(100)
        assert (question, sender) == (b"question", (str(here.public), here.port)), (question, sender)
        other.sendto(b"answer", sender)
        assert one.recvfrom(100) == (b"answer", (str(there.public), there.port))

        tunnelled = core.packets(lambda p: p.protocol == packets.IPIP)
        ends = [(p.source, p.destination) for p in tunnelled]
        assert ends == [(here.address, BR), (BR, there.address), (there.address, BR), (BR, here.address)], ends
        ttls = [p.inner.ttl for p in tunnelled]
        assert ttls == [64, 63, 64, 63], f"inner TTLs along the way: {ttls}"
        assert not transit.packets(lambda p: p.version == 4), "a hairpinned packet was seen on the IPv4 side"
        metrics = relay.metrics()
        assert (metrics.forwarded("from_ce"), metrics.drops()) == (2, {}), str(metrics)


def test_hairpin_download(lab: Lab):
    """one CE fetches 5 MB from a web server behind another, by the address they share"""
    here, there = lab.customers[:2]
    with lab.relay() as relay:
        url, digest = web_server(lab, 5_000_000, there)
        assert download(lab, here, url) == digest, "the file came with another checksum"
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_hairpin_fragments(lab: Lab):
    """datagrams of 8 KB between CEs, sharing an address or not: in fragments, each on its own and, with Full, joined"""
    here = lab.customers[0]
    for reassembly in ("Virtual", "Full"):
        with lab.relay(manifest(reassembly={"v4": reassembly})) as relay:
            for there in lab.customers[1:]:
                with udp_socket(here.lan, port=here.port) as one, udp_socket(there.lan, port=there.port) as other:
                    exchange_large(one, other, (str(there.public), there.port), (str(here.public), here.port))
            assert relay.metrics().drops() == {}, relay.metrics().drops()


def exchange_large(one, other, to_other: tuple[str, int], to_one: tuple[str, int]):
    question, answer = os.urandom(8000), os.urandom(8000)
    one.sendto(question, to_other)
    assert other.recvfrom(65_535) == (question, to_one), "what arrived is not what was sent"
    other.sendto(answer, to_one)
    assert one.recvfrom(65_535) == (answer, to_other), "what arrived is not what was sent"
