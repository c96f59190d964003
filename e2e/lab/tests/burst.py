"""More than the relay can take at the moment."""

import signal

from lab import packets
from lab.customer import Customer
from lab.lab import Lab, eventually
from lab.topology import BR, INTERNET
from lab.wire import device_packets, send_ipv4, send_ipv6

BURST = 30_000
PORTION = 500  # sent before the lab looks whether the relay's host has them all: its own links must lose nothing


def test_burst_to_ce(lab: Lab):
    """30,000 packets from the Internet while the relay is stopped: each is forwarded or in a counter"""
    packet = udp_to(lab.customers[0])
    burst(lab, lambda: send_ipv4(lab.internet, *[packet] * PORTION), "transit", "core", "to_ce")


def test_burst_from_ce(lab: Lab):
    """30,000 packets from a CE while the relay is stopped: each is forwarded or in a counter"""
    customer = lab.customers[0]
    inner = packets.udp((customer.public, customer.port), (INTERNET, 9), b"burst")
    packet = packets.encapsulate(customer.address, BR, inner)
    burst(lab, lambda: send_ipv6(customer.ce, *[packet] * PORTION), "core", "transit", "from_ce")


def udp_to(customer: Customer) -> bytes:
    return packets.udp((INTERNET, 9), (customer.public, customer.port), b"burst")


def burst(lab: Lab, send_portion, enters: str, leaves: str, direction: str):
    # The receivers swallow the burst: an ICMP error about each packet would cross the relay too.
    lab.filter(lab.internet, "udp dport 9")
    lab.filter(lab.customers[0].lan, "udp sport 9")
    with lab.relay() as relay:
        left_before = device_packets(lab.relay_node, leaves, "tx_packets")
        relay.process.send_signal(signal.SIGSTOP)
        for _ in range(BURST // PORTION):
            before = device_packets(lab.relay_node, enters)
            send_portion()
            arrived = eventually(lambda: device_packets(lab.relay_node, enters) >= before + PORTION)
            assert arrived, "the lab's own links lost packets"
        relay.process.send_signal(signal.SIGCONT)

        def accounted() -> int:
            metrics = relay.metrics()
            return metrics.forwarded(direction) + metrics.dropped(direction) + metrics.tun_drops()

        assert eventually(lambda: accounted() >= BURST, 30), f"{accounted()} of {BURST} packets are accounted for"
        metrics = relay.metrics()
        assert accounted() == BURST, f"{accounted()} packets are accounted for, {BURST} were sent:\n{metrics}"
        assert metrics.tun_drops() > 0, "the burst fitted the queue, so this test shows nothing"
        left = device_packets(lab.relay_node, leaves, "tx_packets") - left_before
        assert left >= metrics.forwarded(direction), f"{left} left, {metrics.forwarded(direction)} are counted"
