"""The relay is one hop each way, and says so from the documented address."""

import re

from lab.lab import Lab
from lab.relay import manifest
from lab.topology import INTERNET, RELAY, RELAY_SOURCE, TRANSIT, TRANSIT_OUTSIDE

HOP = re.compile(r"^ *\d+ +(\S+)", re.MULTILINE)


def test_traceroute_from_ce(lab: Lab):
    """from a CE: the relay (icmp.ipv4Source), the Internet router, the host; by UDP and by ICMP"""
    with lab.relay():
        for customer in lab.customers[:2]:
            for how in ([], ["-I"]):
                hops = traceroute(customer.lan, *how, str(INTERNET))
                assert hops == [str(RELAY_SOURCE), str(TRANSIT), str(INTERNET)], hops


def test_traceroute_source_flag(lab: Lab):
    """from a CE, with --ipv4-source and no icmp.ipv4Source: that address"""
    with lab.relay(manifest(icmp={}), ipv4_source="198.51.100.101"):
        hops = traceroute(lab.customers[0].lan, str(INTERNET))
        assert hops == ["198.51.100.101", str(TRANSIT), str(INTERNET)], hops


def test_traceroute_default_source(lab: Lab):
    """from a CE, with no address configured: the IPv4 dummy address (RFC 7600), not one of the relay's host"""
    with lab.relay(manifest(icmp={}), ipv4_source=None):
        hops = traceroute(lab.customers[0].lan, str(INTERNET))
        assert hops == ["192.0.0.8", str(TRANSIT), str(INTERNET)], hops


def test_traceroute_to_ce(lab: Lab):
    """from the Internet: the Internet router, the relay's host, the CE, the customer's host"""
    with lab.relay():
        for customer in lab.customers:
            hops = traceroute(lab.internet, "-U", "-p", str(customer.port), str(customer.public))
            public = str(customer.public)
            assert hops == [str(TRANSIT_OUTSIDE), str(RELAY), public, public], hops


def test_traceroute_hairpin(lab: Lab):
    """from one CE to another: one hop, the relay, then the other CE and its host"""
    with lab.relay():
        here, _, there = lab.customers
        hops = traceroute(here.lan, "-U", "-p", str(there.port), str(there.public))
        assert hops == [str(RELAY_SOURCE), str(there.public), str(there.public)], hops


def traceroute(node, *options: str) -> list[str]:
    """The addresses of the hops, one probe each, in order."""
    said = node.run("traceroute", "-n", "-q", "1", "-N", "1", "-w", "5", "-m", "8", *options, timeout=120)
    return HOP.findall(said.split("\n", 1)[1])
