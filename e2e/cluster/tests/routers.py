"""The two routers: what they learn from relays, and what is left of them when one dies."""

import contextlib
import signal

from cluster.scene import Scene
from cluster.standin import PREFIXES, StandIn
from lab.lab import eventually
from lab.namespaces import CommandFailed

EACH = [(family, prefix) for family, prefixes in PREFIXES.items() for prefix in prefixes]


@contextlib.contextmanager
def stand_ins(scene: Scene, count: int):
    """They announce, and both routers have heard it and watch them by BFD; they are gone afterwards."""
    made = []
    try:
        for number in range(1, count + 1):
            made.append(StandIn(scene.cluster.fabric, number, scene.cluster.folder))
            made[-1].start()
        expect_paths(scene, made)
        expect_watched(scene, made)
        yield made
    finally:
        for one in made:
            one.remove()


def expect_paths(scene: Scene, announcers: list[StandIn], routers=None) -> None:
    """Waits until these routers, or all, send to exactly these announcers: BGP's paths, and the kernel's routes."""
    fabric = scene.cluster.fabric
    routers = routers or fabric.routers

    def fits() -> bool:
        return all(
            machine.paths(prefix) == {one.addresses[family] for one in announcers}
            and len(machine.next_hops(prefix)) == len(announcers)
            for machine in routers for family, prefix in EACH)

    assert eventually(fits, 30), [(machine.name, prefix, machine.paths(prefix), machine.next_hops(prefix))
                                  for machine in routers for _, prefix in EACH]


def expect_watched(scene: Scene, announcers: list[StandIn]) -> None:
    """Waits until BFD of both routers sees them: until then nobody notices that one is silent."""
    addresses = {address for one in announcers for address in one.addresses.values()}
    for machine in scene.cluster.fabric.routers:
        assert eventually(lambda machine=machine: addresses <= machine.watched(), 30), machine.watched()


def expect_used(scene: Scene, *names: str) -> None:
    """Waits until Internet and core send by these routers only, with a default route and by what relays announce."""
    fabric = scene.cluster.fabric

    def fits() -> bool:
        return all(fabric.sends_by(family, prefix) == set(names)
                   for family, prefix in (*EACH, ("ipv4", "default"), ("ipv6", "default")))

    assert eventually(fits, 30), [(prefix, fabric.sends_by(family, prefix)) for family, prefix in EACH]


@contextlib.contextmanager
def silent(scene: Scene, ports: list[str]):
    """The switch drops what comes in or goes out by these ports."""
    scene.cluster.fabric.silence(*ports)
    try:
        yield
    finally:
        scene.cluster.fabric.unsilence()


def test_routers_learn(scene: Scene):
    """both routers learn a BIRD's prefixes of both families, send over two in equal shares, and tell Internet and core"""
    with stand_ins(scene, 2) as two:
        expect_used(scene, "tor1", "tor2")
        two[0].bird.stop()
        expect_paths(scene, two[1:])
        expect_used(scene, "tor1", "tor2")
    expect_paths(scene, [])
    expect_nothing_announced(scene)


def test_graceful_shutdown(scene: Scene):
    """who announces with GRACEFUL_SHUTDOWN (RFC 8326) gets nothing while there are others, and all if there are none"""
    with stand_ins(scene, 2) as two:
        leaving = "bgp_community.add((65535, 0)); accept"
        two[0].bird.reconfigure(two[0].config(export=leaving))
        expect_paths(scene, two[1:])
        two[1].bird.stop()
        expect_paths(scene, two[:1])


def expect_nothing_announced(scene: Scene) -> None:
    fabric = scene.cluster.fabric
    assert eventually(lambda: not any(fabric.sends_by(family, prefix) for family, prefix in EACH), 30)


def test_all_over_ipv6(scene: Scene):
    """IPv4 prefixes with IPv6 next hops, over IPv6 sessions alone (RFC 8950): both routers take them, and send by them"""
    with stand_ins(scene, 1) as announcers:
        bird, routers = announcers[0].bird, scene.cluster.fabric.routers
        bird.reconfigure(announcers[0].config(all_over_ipv6=True))
        (_, prefix4), _ = EACH
        for machine in routers:
            taken = eventually(lambda machine=machine: machine.paths(prefix4) == {announcers[0].addresses["ipv6"]}, 30)
            assert taken, machine.paths(prefix4)
            hops = eventually(lambda machine=machine: machine.next_hops(prefix4), 10)
            assert hops and machine.next_hops(prefix4)[0].startswith("fe80::"), machine.next_hops(prefix4)


def test_silent_relay(scene: Scene):
    """an announcer whose packets are dropped, links up: BFD has both routers leave it out, and take it back afterwards"""
    fabric = scene.cluster.fabric
    with stand_ins(scene, 2) as two:
        with silent(scene, two[0].ports):
            expect_paths(scene, two[1:])
            session = fabric.routers[0].sessions()[two[1].addresses["ipv4"]]
            assert session["bgpTimerHoldTimeMsecs"] > 60_000, f"BGP itself could have noticed: {session}"
        expect_paths(scene, two)


def test_one_family(scene: Scene):
    """an announcer of whose sides only one is silent loses that family's routes; who announces decides about the other"""
    with stand_ins(scene, 2) as two:
        (_, prefix4), (_, prefix6) = EACH
        with silent(scene, two[0].ports[:1]):
            for machine in scene.cluster.fabric.routers:
                gone = eventually(lambda machine=machine: machine.paths(prefix4) == {two[1].addresses["ipv4"]}, 30)
                assert gone, machine.paths(prefix4)
                assert machine.paths(prefix6) == {one.addresses["ipv6"] for one in two}, machine.paths(prefix6)


def test_dead_router(scene: Scene):
    """a router whose programs are killed, and one that is silent: Internet and core go by the other, then by both again"""
    fabric = scene.cluster.fabric
    first, second = fabric.routers
    with stand_ins(scene, 2) as two:
        expect_used(scene, "tor1", "tor2")
        first.stop_programs(signal.SIGKILL)
        try:
            expect_used(scene, "tor2")
        finally:
            first.start_programs()
        expect_paths(scene, two)
        expect_used(scene, "tor1", "tor2")
        with silent(scene, fabric.router_ports(second)):
            expect_used(scene, "tor1")
        expect_paths(scene, two)
        expect_used(scene, "tor1", "tor2")


def test_commands(scene: Scene):
    """a router takes commands as by hand, and refuses wrong ones; a session that it resets comes back"""
    router = scene.cluster.fabric.routers[0]
    with stand_ins(scene, 1) as announcers:
        router.do(f"clear bgp {announcers[0].addresses['ipv4']}")
        told = ("show", "protocols", "all", "ipv4_1")
        bird = announcers[0].bird
        assert eventually(lambda: "Administrative reset" in bird.ask(*told), 10), bird.ask(*told)
        expect_paths(scene, announcers)
    try:
        router.configure("router bgp 64500", "neighbor nonsense")
    except CommandFailed as refused:
        assert "incomplete" in str(refused), refused
    else:
        raise AssertionError("nonsense was accepted")
