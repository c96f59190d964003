"""Packets that do not fit the tunnel."""

from lab import packets
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
    customer.lan.ip("route change default via 192.0.0.1 src 192.168.1.10 mtu 1360 advmss 1460")
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
