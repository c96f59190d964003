"""What happens to a fleet that announces itself, under 5,000 packets/s both ways: each event once. `make failover` measures them."""

from fleet import failover
from fleet.scene import Scene


def test_scaled(scene: Scene):
    """`kubectl scale` 2 -> 3 -> 2 under 5,000 packets/s both ways: 0 lost"""
    loses_nothing(scene, "kubectl scale")


def test_upgraded(scene: Scene):
    """other images, relay by relay, under 5,000 packets/s both ways: 0 lost"""
    loses_nothing(scene, "rolling image upgrade")


def test_drained(scene: Scene):
    """`kubectl cordon` and `drain` of a node under 5,000 packets/s both ways: 0 lost"""
    loses_nothing(scene, "kubectl cordon, drain")


def test_operators_and_domains(scene: Scene):
    """operators restarted, rules come and go, under 5,000 packets/s both ways: 0 lost"""
    loses_nothing(scene, "operators restarted", "domain edited")


def loses_nothing(scene: Scene, *events: str) -> None:
    for counted in failover.measure(scene, failover.named(*events), runs=1, say=scene.say):
        run = counted.runs[0]
        assert run.lost_nothing(), run.detail()


def test_killed(scene: Scene):
    """relay, BIRD and whole pod killed: traffic is whole by itself before they are back; what was lost is printed"""
    failover.measure(scene, failover.named("kill -9"), runs=1, say=scene.say, afterwards=True)


def test_cut(scene: Scene):
    """a node's links down, a side or a router silent with links up: traffic is whole by itself; what was lost is printed"""
    failover.measure(scene, failover.named("links go down", "silent"), runs=1, say=scene.say, afterwards=True)


def test_reset(scene: Scene):
    """both routers reset their sessions with a relay: traffic is whole by itself; what was lost is printed"""
    failover.measure(scene, failover.named("reset"), runs=1, say=scene.say, afterwards=True)
