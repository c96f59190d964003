"""The fleet forwards, and what counts its losses is right."""

from fleet.flows import FROM_CE, TO_CE
from fleet.relays import RelayPod
from fleet.scene import Scene
from fleet.traffic import Traffic, Window
from lab.lab import eventually
from lab.namespaces import Namespace, command

ENOUGH = 100  # datagrams for the routers to drop

# Every tenth datagram to the Internet ends here.
DROP = """table ip lab {
    counter dropped { }
    chain forward {
        type filter hook forward priority filter
        ip daddr 203.0.113.0/24 meta l4proto udp numgen inc mod 10 == 0 counter name dropped drop
    }
}
"""


def test_two_relays(scene: Scene):
    """UDP and TCP of three customers, both ways, cross two relays, on two nodes: all arrives, whole, and both forward"""
    relays = scene.start_fleet(2)
    assert {relay.node for relay in relays} == {"node1", "node2"}, [relay.node for relay in relays]
    with scene.traffic() as traffic:
        before = forwarded(relays)
        traffic.control(5)
        after = forwarded(relays)
    for name, counts in after.items():
        grown = {way: counts[way] - before[name][way] for way in counts}
        scene.say(f"{name} forwarded {grown[FROM_CE]:,} from CEs and {grown[TO_CE]:,} to CEs")
        assert all(count > 100 for count in grown.values()), f"{name} had no share: {grown}"


def test_losses_are_counted(scene: Scene):
    """what the routers are made to drop is missing, datagram by datagram; relays count every packet that crossed"""
    relays = scene.start_fleet(2)
    with scene.traffic(connections=0) as traffic:
        traffic.control()
        before = forwarded(relays)
        with traffic.window("the routers drop one in ten") as window:
            lost = drop_for_a_while(scene, traffic)
        after = forwarded(relays)
    check_counts(window, lost, {
        way: sum(after[relay.name][way] - before[relay.name][way] for relay in relays) for way in (FROM_CE, TO_CE)
    })


def check_counts(window: Window, lost: int, crossed: dict[str, int]):
    assert window.lost(FROM_CE) == lost, f"the routers dropped {lost}:\n{window.detail()}"
    assert window.lost(TO_CE) == 0, window.detail()
    for way in (FROM_CE, TO_CE):
        assert crossed[way] >= window.sent[way], f"{way}: {window.sent[way]} sent, relays counted {crossed[way]}"


def drop_for_a_while(scene: Scene, traffic: Traffic) -> int:
    """How many the routers dropped."""
    routers = [router.namespace for router in scene.fabric.routers]
    for router in routers:
        command(*router.argv("nft", "-f", "-"), stdin=DROP)
    try:
        assert eventually(lambda: traffic.pause(0.5) or dropped(routers) >= ENOUGH, 30), "the routers drop nothing"
        for router in routers:
            router.run("nft", "flush", "chain", "ip", "lab", "forward")
        return dropped(routers)
    finally:
        for router in routers:
            router.run("nft", "delete", "table", "ip", "lab")


def dropped(routers: list[Namespace]) -> int:
    said = [router.run("nft", "list", "counter", "ip", "lab", "dropped") for router in routers]
    return sum(int(text.split("packets ")[1].split()[0]) for text in said)


def forwarded(relays: list[RelayPod]) -> dict[str, dict[str, int]]:
    readings = {relay.name: relay.metrics() for relay in relays}
    return {name: {way: metrics.forwarded(way) for way in (FROM_CE, TO_CE)} for name, metrics in readings.items()}
