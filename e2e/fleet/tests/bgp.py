"""A fleet that announces itself: routers learn from every healthy relay, and from no other."""

import contextlib
import hashlib
import socket
import subprocess
import threading

from cluster.fabric import INTERNET
from fleet import manifests
from fleet.manifests import FLEET, HALVES, SERVED, small_rule
from fleet.relays import RelayPod, addresses_of
from fleet.scene import Scene, pause
from lab.lab import eventually

PORT = 8800
PIECE = b"every relay may go, the download stays " * 100
ELSEWHERE = "100.64.0.0/24"  # what `allowed` does not hold


def test_announces(scene: Scene):
    """both routers learn the prefixes of both families from each relay, and nothing else; traffic crosses all of them"""
    relays = scene.start_fleet(2, bgp=manifests.bgp())
    scene.expect("BorderRelay", FLEET, Advertised=True)
    for router in scene.fabric.routers:
        heard = router.heard(addresses_of(relays))
        assert heard == set(SERVED), f"{router.name} has heard {heard}"
    with scene.meter() as meter:
        counted = meter.control(4)
        scene.say(f"{counted}; {counted.rate:,.0f} datagrams a second each way")
        assert counted.lost_nothing(), counted.detail()
    for relay in relays:
        forwarded = {way: relay.metrics().forwarded(way) for way in ("from_ce", "to_ce")}
        assert all(count > 100 for count in forwarded.values()), f"{relay.name} had no share: {forwarded}"


def test_gate(scene: Scene):
    """a relay one of whose sides is silent attracts no traffic of either family, says why, and is back afterwards"""
    relays = scene.start_fleet(2, bgp=manifests.bgp())
    for side in ("ipv4", "ipv6"):
        cut, other = relays
        scene.fabric.silence(f"{cut.node}-{side}")
        try:
            scene.expect_paths([other])
            assert eventually(lambda cut=cut: pause(lambda: not cut.is_ready()), 30), cut.state()
            scene.say(f"{side} silent: {cut.state()['readyReasons']}")
            scene.expect("BorderRelay", FLEET, Advertised=False)
            with scene.meter() as meter:
                counted = meter.control()
            assert counted.lost_nothing(), counted.detail()
        finally:
            scene.fabric.unsilence()
        scene.expect_announced(relays)
        scene.expect("BorderRelay", FLEET, Advertised=True)


def test_download(scene: Scene):
    """a TCP download goes on, whole, while every relay is replaced in turn"""
    relays = scene.start_fleet(2, bgp=manifests.bgp())
    with downloading(scene) as (going, done):
        for relay in relays:
            scene.kubectl("delete", "pod", relay.name, "--timeout=60s")
            scene.expect_announced(scene.wait_relays(2, 120))
            assert going.poll() is None, f"the download has ended: {going.communicate()}"
        received = done()
    assert not {relay.uid for relay in relays} & {relay.uid for relay in scene.relays()}
    scene.say(f"{received:,} bytes downloaded while both relays were replaced")


@contextlib.contextmanager
def downloading(scene: Scene):
    """A customer's curl, and an Internet host that sends without an end until `done` is called: it compares the two."""
    ends, sums = threading.Event(), []
    with scene.fabric.internet.entered():
        listener = socket.create_server((str(INTERNET[0]), PORT))
    listener.settimeout(20)
    server = threading.Thread(target=serve, args=(listener, ends, sums), daemon=True)
    server.start()
    file = scene.folder / "download"
    url = f"http://{INTERNET[0]}:{PORT}/"
    curl = subprocess.Popen(
        scene.fabric.customer(1).lan.argv("curl", "--silent", "--show-error", "--output", str(file), url),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def done() -> int:
        ends.set()
        said = curl.communicate(timeout=60)
        assert curl.returncode == 0, said
        content = file.read_bytes()
        assert [hashlib.sha256(content).hexdigest()] == sums, f"{len(content)} bytes came, but not those that were sent"
        return len(content)

    try:
        yield curl, done
    finally:
        ends.set()
        curl.kill()
        curl.wait()
        server.join(10)
        listener.close()


def serve(listener, ends: threading.Event, sums: list[str]) -> None:
    """One HTTP answer of unknown length, a piece every few milliseconds."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(60)
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        digest = hashlib.sha256()
        while not ends.wait(0.02):
            connection.sendall(PIECE)
            digest.update(PIECE)
        sums.append(digest.hexdigest())


def test_not_allowed(scene: Scene):
    """who may create MapDomains cannot announce what `allowed` does not hold: not accepted, and in no router"""
    relays = scene.start_fleet(1, bgp=manifests.bgp())
    stranger = small_rule(1) | {"ipv4Prefix": ELSEWHERE}
    scene.apply(manifests.domain(scene.name, "stranger", rules=[stranger], softwireAddress="3001:db8:ffff::2"))
    scene.expect("MapDomain", "stranger", (ELSEWHERE,), Accepted="NotAllowed")
    expect_another_but_not(scene, relays, 2, ELSEWHERE)


def test_taken_over(scene: Scene):
    """a relay that was taken over sets routes as it likes: what neither domains nor `allowed` hold, no router hears"""
    relays = scene.start_fleet(1, bgp=manifests.bgp())
    unserved = small_rule(9)["ipv4Prefix"]  # allowed, but of no domain
    inside = relays[0].network()
    quarter = "64.0.0.0/2"  # of everything; not that in which the relay looks whether its packets leave: it would withdraw all
    for prefix in (ELSEWHERE, unserved, quarter):
        inside.run("ip", "route", "add", prefix, "dev", "culvert0", "proto", "97", "table", "4646")
    inside.run("ip", "-6", "route", "add", "3001:db8:ffff::9/128", "dev", "culvert0", "proto", "97", "table", "4646")
    expect_another_but_not(scene, relays, 3, ELSEWHERE, unserved, quarter, "3001:db8:ffff::9/128")


def expect_another_but_not(scene: Scene, relays: list[RelayPod], number: int, *prefixes: str) -> None:
    """Another rule is announced, so whatever these relays were to announce before, they have; and these they have not.

    What other relays say is not asked: those of the test before may still be taking their leave."""
    rule = small_rule(number)
    scene.apply(manifests.domain(scene.name, rules=[*HALVES, rule]))
    wanted = {*SERVED, rule["ipv4Prefix"]}
    for router in scene.fabric.routers:

        def heard(router=router) -> set[str]:
            return router.heard(addresses_of(relays))

        assert eventually(lambda heard=heard: wanted <= heard(), 30), f"{router.name} has heard {heard()}"
        assert heard() == wanted, f"{router.name} has heard {heard()}, and should not have {prefixes}"
