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


def test_dns_large_answer(lab: Lab):
    """answers of 3 KB by EDNS arrive in fragments, at every customer"""
    texts = [f"{number:03}" + "x" * 200 for number in range(15)]
    with lab.relay() as relay:
        records = [f"--txt-record={NAME},{text}" for text in texts]
        bare = ("--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=")
        listen = (f"--listen-address={INTERNET}", "--edns-packet-max=4096")
        serve(lab, lab.internet, 53, "dnsmasq", *bare, *listen, *records)
        for customer in lab.customers:
            asked = ("+short", "+tries=3", "+notcp", "+ignore", "+bufsize=4096", f"@{INTERNET}", NAME, "TXT")
            answer = customer.lan.run("dig", *asked).split()
            assert sorted(answer) == [f'"{text}"' for text in texts], f"customer {customer.number} got {answer}"
        metrics = relay.metrics()
        assert metrics.forwarded("from_ce") == 3 and metrics.forwarded("to_ce") == 9, str(metrics)
        assert metrics.drops() == {}, metrics.drops()
