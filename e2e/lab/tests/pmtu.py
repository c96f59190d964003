"""Packets that do not fit the tunnel."""

import hashlib

from lab import packets
from lab.customer import route_to_tunnel
from lab.lab import Lab
from lab.packets import describe
from lab.relay import manifest
from lab.topology import INTERNET, RELAY_SOURCE
from lab.traffic import download, web_server
from lab.wire import send_ipv4, udp_socket


def test_too_big(lab: Lab):
    """a DF packet of 1461 bytes gets ICMP 3/4 with mtu.v6 - 40 = 1460 from icmp.ipv4Source; one of 1460 passes"""
    customer, internet = lab.customers[0], lab.capture(lab.internet, "transit")
    with lab.relay() as relay:
        host = udp_socket(customer.lan, port=customer.port)
        send_ipv4(lab.internet, df_packet(customer, 1460))
        assert len(host.recv(2000)) == 1460 - 28
        send_ipv4(lab.internet, df_packet(customer, 1461))
        error = internet.wait(lambda p: p.version == 4 and p.icmp == (3, 4))
        assert error, "no ICMP 3/4 came"
        assert (error.source, error.mtu) == (RELAY_SOURCE, 1460), describe(error)
        assert packets.checksum(error.payload) == 0, "its checksum is wrong"
        about = error.inner
        assert (about.destination, about.ports) == (customer.public, (9, customer.port)), describe(about)
        assert relay.metrics().drops() == {("to_ce", "TooBig"): 1}, relay.metrics().drops()


def df_packet(customer, size: int) -> bytes:
    destination = (customer.public, customer.port)
    return packets.udp((INTERNET, 9), destination, b"\0" * (size - 28), dont_fragment=True)


def test_pmtu_discovery(lab: Lab):
    """without MSS clamping, TCP finds the tunnel's MTU by the relay's ICMP 3/4, and the file arrives"""
    discover(lab, manifest(tcpMssClamp="Disabled"), mtu=1460)


def test_pmtu_discovery_narrow_core(lab: Lab):
    """the same over a core link of 1400 bytes, with mtu.v6: 1400"""
    customer = lab.customers[0]
    lab.core.ip(f"link set ce{customer.number} mtu 1400")
    customer.ce.ip("link set core mtu 1400")
    route_to_tunnel(customer, 1360, "change")
    discover(lab, manifest(tcpMssClamp="Disabled", mtu={"v6": 1400}), mtu=1360)


def discover(lab: Lab, config: str, mtu: int):
    customer, internet = lab.customers[0], lab.capture(lab.internet, "transit")
    with lab.relay(config) as relay:
        url, digest = web_server(lab, 3_000_000)
        assert download(lab, customer, url) == digest, "the file came with another checksum"
        syns = internet.received(packets.is_syn)
        assert [packets.mss(syn) for syn in syns] == [1460], "the SYN's MSS was changed, so this test shows nothing"
        errors = internet.received(lambda p: p.version == 4 and p.icmp == (3, 4))
        assert errors and {(p.source, p.mtu) for p in errors} == {(RELAY_SOURCE, mtu)}, [describe(p) for p in errors]
        learned = lab.internet.show("route", "get", str(customer.public))
        assert f"mtu {mtu}" in learned, f"the server has not learned the MTU: {learned}"
        metrics = relay.metrics()
        suppressed = metrics.total("culvert_icmp_suppressed_total", kind="error")
        assert metrics.drops() == {("to_ce", "TooBig"): len(errors) + suppressed}, metrics.drops()


def test_narrow_core(lab: Lab):
    """a core link narrower than mtu.v6 says: its Packet Too Big is told to the server as ICMP 3/4, and the file arrives"""
    customer, internet = lab.customers[0], lab.capture(lab.internet, "transit")
    lab.core.ip(f"link set ce{customer.number} mtu 1400")
    with lab.relay(manifest(tcpMssClamp="Disabled")) as relay:
        url, digest = web_server(lab, 3_000_000)
        assert download(lab, customer, url) == digest, "the file came with another checksum"
        errors = internet.received(lambda p: p.version == 4 and p.icmp == (3, 4))
        assert {(p.source, p.mtu) for p in errors} == {(RELAY_SOURCE, 1460), (RELAY_SOURCE, 1360)}, [
            describe(p) for p in errors
        ]
        assert relay.metrics().total("culvert_icmp_sent_total", kind="relayed_error") > 0, str(relay.metrics())


def test_black_hole(lab: Lab):
    """a narrow core link, mtu.v6 as narrow, and every ICMP error lost: by the clamped MSS alone files arrive, both ways"""
    customer, core = lab.customers[0], lab.capture(lab.core, "relay")
    lab.core.ip(f"link set ce{customer.number} mtu 1400")
    for node in (lab.internet, customer.lan):
        lab.filter(node, "meta l4proto icmp")
    customer.lan.run("ethtool", "-K", "ce", "tso", "off", "gso", "off")  # veth passes what is to be cut, however large
    with lab.relay(manifest(mtu={"v6": 1400})) as relay:
        url, digest = web_server(lab, 3_000_000)
        assert download(lab, customer, url) == digest, "the file came with another checksum"
        url, digest = web_server(lab, 3_000_000, customer)
        copy = lab.folder / "copy"
        lab.internet.run("curl", "--silent", "--show-error", "--fail", "--output", str(copy), url)
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == digest, "the file came with another checksum"
        assert relay.metrics().drops() == {}, relay.metrics().drops()
    largest = [max(len(p.raw) for p in heard(is_tunnelled)) for heard in (core.sent, core.received)]
    assert largest == [1400, 1400], f"the links were not filled, or something did not fit: {largest}"


def is_tunnelled(packet: packets.Packet) -> bool:
    return packet.protocol == packets.IPIP
