"""More relays, fewer relays, and relays that are asked to leave."""

from fleet.scene import Scene, pause
from lab.lab import eventually

COST = "controller.kubernetes.io/pod-deletion-cost"


def test_scale(scene: Scene):
    """`kubectl scale` 2 -> 4 -> 1 under traffic loses nothing: relays share no state, the router's routes follow"""
    scene.start_fleet(2)
    with scene.traffic() as traffic:
        traffic.control()
        before = scene.ledger()
        with traffic.window("kubectl scale 2 -> 4") as up:
            scene.scale(4)
            four = scene.wait_relays(4)
            scene.spread(four)
            traffic.pause(2)
        scene.lost_nothing(up, before)
        assert all(relay.metrics().forwarded("from_ce") for relay in four), "a new relay has no share"
        before = scene.ledger()
        with traffic.window("kubectl scale 4 -> 1") as down:
            stays = four[0]
            scene.kubectl("annotate", "pod", stays.name, f"{COST}=1000")  # who leaves is Kubernetes's choice otherwise
            scene.spread([stays])  # as long as nobody announces, routes are taken away first
            traffic.pause(1)  # and what is on its way arrives
            scene.scale(1)
            one = scene.wait_relays(1)
            traffic.pause(1)
        assert [relay.name for relay in one] == [stays.name], [relay.name for relay in one]
        scene.lost_nothing(down, before)

    def counts() -> list[int]:
        status = scene.object("BorderRelay", "default")["status"]
        return [status[count] for count in ("replicas", "readyReplicas", "programmedReplicas")]

    assert eventually(lambda: pause(lambda: counts() == [1, 1, 1]), 30), counts()


def test_cordon(scene: Scene):
    """a cordoned node's relay drains: not ready, still forwarding; uncordoned, it is back; nothing is lost"""
    relays = scene.start_fleet(2)
    leaves = next(relay for relay in relays if relay.node == "node2")
    with scene.traffic() as traffic:
        traffic.control()
        before = scene.ledger()
        with traffic.window("kubectl cordon, and uncordon") as window:
            scene.kubectl("cordon", "node2")
            try:
                drains = eventually(lambda: pause(lambda: leaves.state()["draining"]), 30)
                assert drains, f"it does not drain: {leaves.state()}"
                assert eventually(lambda: pause(lambda: not leaves.is_ready()), 10)
                count = leaves.metrics().forwarded("from_ce")
                assert eventually(lambda: pause(lambda: leaves.metrics().forwarded("from_ce") > count), 10), (
                    "a relay that drains has to forward what still comes")
                traffic.pause(2)
                assert eventually(lambda: pause(lambda: told(scene)[leaves.name] == "Draining"), 30), told(scene)
            finally:
                scene.kubectl("uncordon", "node2")
            assert eventually(lambda: pause(leaves.is_ready), 30), f"it is not back: {leaves.state()}"
            traffic.pause(1)
        scene.lost_nothing(window, before)
    scene.expect("BorderRelay", "default", Ready=True, Programmed=True)


def told(scene: Scene) -> dict[str, str]:
    """What the fleet says of each relay."""
    return {relay["pod"]: relay["state"] for relay in scene.object("BorderRelay", "default")["status"]["relays"]}
