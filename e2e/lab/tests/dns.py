"""Names, by UDP."""

from lab.lab import Lab
from lab.topology import INTERNET
from lab.traffic import serve

NAME, ADDRESS = "culvert.example", "203.0.113.99"


def test_dns(lab: Lab):
    """every customer resolves names at a server on the Internet"""
    with lab.relay() as relay:
        answers = (f"--address=/{NAME}/{ADDRESS}", f"--listen-address={INTERNET}")
        bare = ("--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=")
        serve(lab, lab.internet, 53, "dnsmasq", *bare, *answers)
        for customer in lab.customers:
            answer = customer.lan.run("dig", "+short", "+tries=3", f"@{INTERNET}", NAME).split()
            assert answer == [ADDRESS], f"customer {customer.number} got {answer}"
        metrics = relay.metrics()
        assert metrics.forwarded("from_ce") == metrics.forwarded("to_ce") == 3, str(metrics)
