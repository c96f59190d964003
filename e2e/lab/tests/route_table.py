"""--route-table NUMBER: customers' packets never see the relay host's own table, nor its sockets."""

import socket

from lab import packets
from lab.lab import Lab, eventually
from lab.topology import BR, CORE, INTERNET, MGMT, RELAY, RELAY_MGMT, RELAY_SOURCE, TRANSIT
from lab.traffic import download, exchange, web_server
from lab.wire import send_ipv6

TABLE = "7597"
SECRET_PORT = 22


def next_hops(lab: Lab):
    """What the relay's help asks for: the next hops of both sides, in its table."""
    lab.relay_node.ip(
        f"route add default via {TRANSIT} table {TABLE}",
        f"route add default via {CORE} table {TABLE}",
    )


def test_route_table_forwards(lab: Lab):
    """with a table of its own the relay forwards: ping, UDP, TCP, hairpin"""
    next_hops(lab)
    with lab.relay(None, "--route-table", TABLE) as relay:
        for customer in lab.customers:
            customer.lan.run("ping", "-c", "1", "-W", "5", str(INTERNET))
            lab.internet.run("ping", "-c", "1", "-W", "5", "-e", str(customer.port), str(customer.public))
            exchange(lab, customer, 7000 + customer.number)
        here, there = lab.customers[:2]
        here.lan.run("ping", "-c", "1", "-W", "5", "-e", str(there.port), str(there.public))
        url, digest = web_server(lab, 2_000_000)
        assert download(lab, lab.customers[0], url) == digest
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def test_route_table_protects_the_host(lab: Lab):
    """with a table of its own: customers' packets reach no socket of the relay's host, no route of its main table"""
    next_hops(lab)
    lab.filter(lab.network.transit, f"udp dport {SECRET_PORT}")  # or it would bring them back by the front door
    mgmt = lab.capture(lab.relay_node, "mgmt")
    transit = lab.capture(lab.network.transit, "relay")
    with lab.relay(None, "--route-table", TABLE) as relay:
        listening = listen(lab)
        targets = [RELAY, RELAY_SOURCE, RELAY_MGMT, MGMT]
        attempt(lab, targets)
        # All of them left by the relay's table, to the Internet side; none turned aside.
        assert eventually(lambda: relay.metrics().forwarded("from_ce") == len(targets)), str(relay.metrics())
        assert not mgmt.packets(lambda p: p.version == 4), "a customer's packet was seen on the management network"
        assert not arrived(listening), "a customer's packet reached a socket of the relay's host"
        seen = {p.destination for p in transit.received(lambda p: p.ports and p.ports[1] == SECRET_PORT)}
        assert seen == set(targets), f"the packets did not leave by the relay's table: {seen}"


def test_route_table_after_sigkill(lab: Lab):
    """a killed relay leaves policy rules behind; the next one takes them over, and removes them at its end"""
    next_hops(lab)
    killed = lab.launch(None, "--route-table", TABLE)
    killed.wait_ready()
    killed.kill()
    assert TABLE in lab.relay_node.show("rule"), "no rule was left behind, so this test shows nothing"
    with lab.relay(None, "--route-table", TABLE):
        exchange(lab, lab.customers[0])


def test_main_table_reaches_the_host(lab: Lab):
    """the counterpart: by the main table (the default) the same packets do arrive, so the test above can fail"""
    with lab.relay():
        listening = listen(lab)
        attempt(lab, [RELAY_MGMT])
        assert eventually(lambda: arrived(listening)), "nothing reached the host's socket by the main table"


def test_route_table_hides_next_hops(lab: Lab):
    """the relay's next hops are for customers' packets only: the host's own traffic goes as before"""
    next_hops(lab)
    ways = [("-4", "192.0.2.1"), ("-4", str(MGMT)), ("-6", "2001:db8:5::1")]
    before = [lab.relay_node.show(family, "route", "get", address) for family, address in ways]
    with lab.relay(None, "--route-table", TABLE):
        during = [lab.relay_node.show(family, "route", "get", address) for family, address in ways]
        assert during == before, f"{before} became {during}"


def listen(lab: Lab) -> socket.socket:
    """A socket of the relay's host, on all its addresses."""
    made = lab.relay_node.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("0.0.0.0", SECRET_PORT))
    made.setblocking(False)
    return made


def arrived(listening: socket.socket) -> bool:
    """Whether a packet has come."""
    try:
        return bool(listening.recv(100))
    except BlockingIOError:
        return False


def attempt(lab: Lab, targets):
    """A customer sends one packet to each of these addresses."""
    customer = lab.customers[0]
    for target in targets:
        inner = packets.udp((customer.public, customer.port), (target, SECRET_PORT), b"let me in")
        send_ipv6(customer.ce, packets.encapsulate(customer.address, BR, inner))
