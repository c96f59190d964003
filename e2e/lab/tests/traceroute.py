"""The relay is one hop each way, and says so from the documented address."""

import re

from lab.customer import Customer
from lab.lab import Lab
from lab.relay import manifest
from lab.topology import INTERNET, RELAY, RELAY_SOURCE, TRANSIT, TRANSIT_OUTSIDE

ANSWER = re.compile(r"[Ff]rom ([\d.]+)")
HOP = re.compile(r"^ *\d+ +(\S+)", re.MULTILINE)


def test_traceroute_from_ce(lab: Lab):
    """from a CE: the relay (icmp.ipv4Source), the Internet router, the host; by UDP, ICMP and TCP"""
    with lab.relay():
        for customer in lab.customers[:2]:
            for how in ([], ["-I"], ["-T", "-p", "80"]):
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
    """from the Internet: the Internet router, the relay's host, the CE, the customer's host; by UDP, TCP and ICMP"""
    lab.relay_node.sysctl(ipv4__icmp_ratelimit=0)
    with lab.relay():
        for customer in lab.customers:
            public = str(customer.public)
            expected = [str(TRANSIT_OUTSIDE), str(RELAY), public, public]
            for how in ("-U", "-T"):
                hops = traceroute(lab.internet, how, "-p", str(customer.port), public)
                assert hops == expected, f"{how}: {hops}"
            hops = [echo(lab.internet, customer, ttl) for ttl in range(1, 5)]
            assert hops == expected, f"by ICMP: {hops}"


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


def echo(node, customer: Customer, ttl: int) -> str:
    """Who answers an echo request with this TTL. Of a shared address, the identifier's owner hears it; traceroute's is
    not ours to choose, ping's is."""
    options = ("-n", "-c", "1", "-W", "5", "-t", str(ttl), "-e", str(customer.port))
    said = node.try_run("ping", *options, str(customer.public)).stdout
    return ANSWER.search(said)[1]
