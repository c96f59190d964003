"""Echo requests, both ways and to the relay itself."""

from lab.lab import Lab
from lab.topology import BR, INTERNET


def test_ping(lab: Lab):
    """every CE pings the Internet and is pinged from there, and every packet is counted"""
    with lab.relay() as relay:
        for customer in lab.customers:
            customer.lan.run("ping", "-c", "3", "-i", "0.1", "-W", "5", str(INTERNET))
            identifier = str(customer.port)  # an echo request reaches the CE that owns its identifier
            lab.internet.run("ping", "-c", "2", "-i", "0.1", "-W", "5", "-e", identifier, str(customer.public))
        metrics = relay.metrics()
        assert metrics.forwarded("from_ce") == 15, metrics.forwarded("from_ce")
        assert metrics.forwarded("to_ce") == 15, metrics.forwarded("to_ce")
        assert metrics.drops() == {}, metrics.drops()


def test_ping_the_relay(lab: Lab):
    """the BR address answers echo requests from the IPv6 side"""
    with lab.relay() as relay:
        lab.core.run("ping", "-6", "-c", "2", "-i", "0.1", "-W", "5", str(BR))
        answered = relay.metrics().total("culvert_icmp_sent_total", kind="echo_reply")
        assert answered == 2, f"{answered} echo replies are counted, 2 came"
