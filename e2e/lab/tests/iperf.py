"""Much traffic. How fast is not asked here: `make bench` does."""

import json

from lab.lab import Lab
from lab.topology import INTERNET
from lab.traffic import serve


def test_iperf_tcp(lab: Lab):
    """iperf3 moves 40 MB of TCP each way, by four connections"""
    with lab.relay() as relay:
        serve(lab, lab.internet, 5201, "iperf3", "-s")
        for way in ([], ["--reverse"]):
            summary = iperf(lab, "-n", "40M", "-P", "4", *way)
            sent, received = summary["sum_sent"]["bytes"], summary["sum_received"]["bytes"]
            # iperf3 ends when all is sent, and no longer counts what is still on its way.
            assert sent >= 40e6 and received >= 20e6, f"{sent} bytes were sent and {received} arrived, {way}"
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_iperf_udp(lab: Lab):
    """iperf3 moves 2 MB of UDP each way, and nothing is lost"""
    with lab.relay() as relay:
        serve(lab, lab.internet, 5201, "iperf3", "-s")
        for way in ([], ["--reverse"]):
            summary = iperf(lab, "-u", "-b", "20M", "-n", "2M", *way)["sum"]
            assert summary["packets"] > 1000, summary
            assert summary["lost_packets"] == 0, f"{summary['lost_packets']} of {summary['packets']} lost, {way}"
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def iperf(lab: Lab, *options: str) -> dict:
    said = lab.customers[0].lan.run("iperf3", "--json", "-c", str(INTERNET), *options, timeout=120)
    return json.loads(said)["end"]
