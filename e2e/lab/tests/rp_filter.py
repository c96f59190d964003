"""Reverse path filtering, as distributions set it: 0 (off), 1 (strict), 2 (loose)."""

from lab import packets
from lab.lab import Lab
from lab.relay import manifest
from lab.topology import BR, INTERNET, RELAY, RELAY_SOURCE
from lab.traffic import download, web_server
from lab.wire import send_ipv4, send_ipv6


def test_rp_filter_off(lab: Lab):
    """rp_filter 0 on the relay's host: ping, TCP and ICMP errors pass"""
    pass_under(lab, 0)


def test_rp_filter_strict(lab: Lab):
    """rp_filter 1 on the relay's host: ping, TCP and ICMP errors pass"""
    pass_under(lab, 1)


def test_rp_filter_loose(lab: Lab):
    """rp_filter 2 on the relay's host: ping, TCP and ICMP errors pass"""
    pass_under(lab, 2)


def pass_under(lab: Lab, value: int):
    for device in ("all", "default", "core", "transit", "mgmt"):
        lab.relay_node.sysctl(**{f"ipv4__conf__{device}__rp_filter": value})
    url, digest = web_server(lab, 1_000_000)
    for source in (RELAY_SOURCE, RELAY):  # an address of the relay's own, and one of another interface of its host
        with lab.relay(manifest(icmp={"ipv4Source": str(source)}), ipv4_source=source) as relay:
            for customer in lab.customers:
                customer.lan.run("ping", "-c", "1", "-W", "5", str(INTERNET))
            assert download(lab, lab.customers[0], url) == digest
            error_from_the_engine_arrives(lab, source)
            error_from_the_kernel_arrives(lab, source)
            assert set(relay.metrics().drops()) <= {("to_ce", "TooBig")}, relay.metrics().drops()


def error_from_the_engine_arrives(lab: Lab, source):
    """Too big, from the relay itself: it enters the kernel by the TUN with one of the host's own addresses."""
    customer, internet = lab.customers[0], lab.capture(lab.internet, "transit")
    big = packets.udp((INTERNET, 9), (customer.public, customer.port), b"\0" * 1472, dont_fragment=True)
    send_ipv4(lab.internet, big)
    error = internet.wait(lambda p: p.icmp == (3, 4) and p.version == 4)
    assert error, "no ICMP 3/4 reached the Internet"
    assert error.source == source, packets.describe(error)


def error_from_the_kernel_arrives(lab: Lab, source):
    """Time exceeded about a decapsulated packet: the kernel sends it back into the TUN."""
    customer = lab.customers[1]
    lan = lab.capture(customer.ce, "lan")
    spent = packets.udp((customer.public, customer.port), (INTERNET, 9), b"spent", ttl=1)
    send_ipv6(customer.ce, packets.encapsulate(customer.address, BR, spent))
    error = lan.wait(lambda p: p.icmp == (11, 0))
    assert error, "no ICMP 11/0 reached the CE"
    assert error.source == source, packets.describe(error)
