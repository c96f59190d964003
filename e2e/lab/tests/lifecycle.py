"""How a relay starts, ends, and refuses to start. After every test the runner compares the relay's host with what it
was before: devices, addresses, routes, rules, sysctls, nftables."""

import socket

from lab.lab import Lab, eventually, picture
from lab.relay import ADMIN_PORT, TUN, Relay, manifest
from lab.topology import BR, RULE
from lab.traffic import exchange, stream_out

NOBODY = "65534"
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
ERROR = "ERROR"

# On most machines every user may open /dev/net/tun. Here the relay gets a /dev/net of its own where that is so.
OPEN_TUN = (
    "sh", "-c", 'mount -t tmpfs -o mode=755 lab /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$0" "$@"',
)


def test_sigterm_leaves_nothing(lab: Lab):
    """SIGTERM under traffic: exit code 0; TUN, routes, addresses and sysctls are as before"""
    relay = lab.launch()
    relay.wait_ready()
    running = picture(lab.relay_node)
    for trace in (TUN, str(RULE.ipv4_prefix), str(BR)):
        assert trace in running, f"{trace} is nowhere while the relay runs, so this test shows nothing"
    stream = stream_out(lab, lab.customers[0], 7001)
    assert eventually(lambda: relay.metrics().forwarded("from_ce") > 100), str(relay.metrics())
    assert relay.stop() == 0, relay.log
    stream.abandon()
    lab.check_nothing_is_left()


def test_sigkill_leaves_nothing(lab: Lab):
    """a killed relay takes TUN and routes along, and the next one starts as if nothing had been"""
    relay = lab.launch()
    relay.wait_ready()
    relay.kill()
    assert TUN not in lab.relay_node.show("link"), "the TUN is still there"
    assert str(RULE.ipv4_prefix) not in lab.relay_node.show("route"), lab.relay_node.show("route")
    with lab.relay():
        exchange(lab, lab.customers[0])


def test_second_relay_same_tun(lab: Lab):
    """a second relay on the same TUN name ends with a sentence; the first goes on forwarding"""
    with lab.relay():
        running = picture(lab.relay_node)
        refused(lab, lab.launch(None, admin_port=ADMIN_PORT + 1), TUN)
        assert picture(lab.relay_node) == running, "the second relay changed something"
        exchange(lab, lab.customers[0])


def test_second_relay_same_prefixes(lab: Lab):
    """a second relay with the same prefixes on another TUN ends with a sentence; the first goes on forwarding"""
    with lab.relay():
        running = picture(lab.relay_node)
        second = lab.launch(None, "--tun-name", "culvert1", admin_port=ADMIN_PORT + 1)
        refused(lab, second, str(RULE.ipv4_prefix))
        assert picture(lab.relay_node) == running, "the second relay changed something"
        exchange(lab, lab.customers[0])


def test_busy_admin_port(lab: Lab):
    """a busy admin port: a sentence that names it, nothing set up"""
    with lab.relay_node.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", ADMIN_PORT))
        taken.listen()
        refused(lab, lab.launch(), f"127.0.0.1:{ADMIN_PORT}")


def test_no_permission(lab: Lab):
    """root without CAP_NET_ADMIN: a sentence that names the capability, nothing set up"""
    without = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--")
    refused(lab, lab.launch(wrapper=without), "CAP_NET_ADMIN")


def test_no_permission_at_all(lab: Lab):
    """an ordinary user: a sentence that names the capability, nothing set up"""
    nothing = ("--inh-caps=-all", "--bounding-set=-all")
    refused(lab, lab.launch(wrapper=(*AS_NOBODY, *nothing, "--")), "CAP_NET_ADMIN")


def test_only_net_admin(lab: Lab):
    """CAP_NET_ADMIN is enough: a relay that is not root and has no other capability forwards, and cleans up"""
    caps = [f"--{kind}=-all,+net_admin" for kind in ("bounding-set", "inh-caps", "ambient-caps")]
    with lab.relay(wrapper=(*OPEN_TUN, *AS_NOBODY, *caps, "--no-new-privs", "--")) as relay:
        assert has_only_net_admin(relay), "the relay has other rights than this test is about"
        for customer in lab.customers:
            exchange(lab, customer, 7000 + customer.number)
        assert relay.metrics().drops() == {}, relay.metrics().drops()


def has_only_net_admin(relay: Relay) -> bool:
    with open(f"/proc/{relay.process.pid}/status") as file:
        status = dict(line.split(":", 1) for line in file)
    rights = [int(status[kind], 16) for kind in ("CapEff", "CapPrm", "CapBnd")]
    return rights == [1 << 12] * 3 and status["Uid"].split() == [NOBODY] * 4


def test_forwarding_off_ipv4(lab: Lab):
    """net.ipv4.ip_forward 0: a sentence that names the sysctl, nothing set up"""
    lab.relay_node.sysctl(ipv4__ip_forward=0)
    refused(lab, lab.launch(), "net.ipv4.ip_forward")


def test_forwarding_off_ipv6(lab: Lab):
    """net.ipv6.conf.all.forwarding 0: a sentence that names the sysctl, nothing set up"""
    lab.relay_node.sysctl(ipv6__conf__all__forwarding=0)
    refused(lab, lab.launch(), "net.ipv6.conf.all.forwarding")


def test_clashing_route_ipv4(lab: Lab):
    """a route to the rule's prefix that is there already: a sentence that names it, the route stays, nothing set up"""
    clash(lab, f"{RULE.ipv4_prefix} via 10.99.0.2")


def test_clashing_route_ipv6(lab: Lab):
    """a route to the BR address that is there already: a sentence that names it, the route stays, nothing set up"""
    clash(lab, f"{BR} via 2001:db8:0:ff::1")


def clash(lab: Lab, route: str):
    lab.relay_node.ip(f"route add {route}")
    refused(lab, lab.launch(), route.split()[0])


def test_bad_manifest(lab: Lab):
    """a manifest with a mistake: a sentence that names the field, nothing set up"""
    refused(lab, lab.launch(manifest(mtu={"v6": 1279})), "mtu.v6")


def refused(lab: Lab, relay: Relay, *words: str):
    """The relay has to end by itself, with one sentence that has these words in it."""
    code = relay.wait_end()
    said = [line for line in relay.log.splitlines() if line.strip()]
    assert code not in (0, 1, 101) and code > 0, f"exit code {code}:\n{relay.log}"
    assert len(said) == 1 and ERROR in said[0], f"one error was expected:\n{relay.log}"
    assert all(word in said[0] for word in words), f"{words} expected in: {said[0]}"
    assert "panicked" not in said[0], said[0]
