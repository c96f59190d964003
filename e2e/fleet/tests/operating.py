"""What an operator of a network asks a fleet with culvertctl, through nothing but kubectl."""

import contextlib
import itertools
import json
import subprocess
from pathlib import Path

from fleet import manifests
from fleet.flows import FROM_CE, TO_CE
from fleet.installation import program
from fleet.manifests import DOMAIN, FLEET, small_rule
from fleet.relays import RelayPod
from fleet.scene import Scene
from lab import packets
from lab.lab import eventually
from lab.namespaces import command
from lab.topology import BR, INTERNET
from lab.wire import send_ipv6

PACKETS = 200  # enough that there are some of both directions

# What the API server answers does not arrive; what it asks does, and so do probes.
CUT = """table inet cut {
    chain input {
        type filter hook input priority filter
        iifname "eth0" tcp sport { 443, 6443 } drop
    }
}
"""


def test_status_and_top(scene: Scene):
    """`status` has the fleet on one screen and says whether it is well; `top` sees what crosses, by domain and relay"""
    relays = scene.start_fleet(2, bgp=manifests.bgp())
    for kind, name in (("BorderRelay", FLEET), ("MapDomain", DOMAIN)):
        scene.expect(kind, name, Advertised=True)
    said = ctl(scene, "status")
    scene.say("status:\n" + said)
    status = json.loads(ctl(scene, "status", "--fleet", FLEET, "-o", "json"))["fleets"][0]
    assert (status["wanted"], status["ready"], status["advertised"], status["sessions"]) == (2, 2, 2, "8/8"), status
    assert [relay["pod"] for relay in status["relays"]] == [relay.name for relay in relays], status
    for word in [f"{scene.name}/{FLEET}", DOMAIN, *(relay.name for relay in relays)]:
        assert word in said, said
    scene.apply(manifests.domain(scene.name, "wrong", rules=[small_rule(1), small_rule(1) | {"name": "again"}]))
    scene.expect("MapDomain", "wrong", Accepted="Invalid")
    assert "spec.rules[1]" in ctl(scene, "status", code=1)
    with scene.traffic(connections=0) as traffic:
        traffic.control(1)
        rates = json.loads(ctl(scene, "top", "--once", "-o", "json"))
        by_relay = json.loads(ctl(scene, "top", "--once", "--by", "relay", "-o", "json"))
        scene.say("top:\n" + ctl(scene, "top", "--once"))
        scene.say("status --rates:\n" + ctl(scene, "status", "--rates", code=1))
    assert (rates["relays"], rates["missing"]) == (2, {}), rates
    for way in ("toCe", "fromCe"):
        assert rates["rows"][DOMAIN][way]["packets"] > 0, rates
        assert sum(row[way]["packets"] for row in by_relay["rows"].values()) > 0, by_relay
    assert set(by_relay["rows"]) == {relay.name for relay in relays}, by_relay


def test_live_fleet(scene: Scene):
    """`map`, `explain` and `check` by a live fleet's revision are as by its manifests; `history` is the relay's"""
    relays = scene.start_fleet(2)
    rule = manifests.HALVES[0]
    address = f"{rule['ipv4Prefix'].split('/')[0]}:6600"
    (scene.folder / "domain.yaml").write_text(manifests.text(manifests.domain(scene.name)))
    files, live = ("-f", str(scene.folder / "domain.yaml")), ("-n", scene.name, "--fleet", FLEET)
    for words in (("map", address, "-o", "json"), ("explain", "--to-ce", "--dst", address)):
        found = scene.culvertctl(*words, *live)
        assert found == scene.culvertctl(*words, *files), found
    checked = json.loads(scene.culvertctl("check", *live, "-o", "json"))
    held = {relay.state()["revision"]["hash"] for relay in relays}
    assert held == {checked["hash"]}, (held, checked)
    history = json.loads(ctl(scene, "history", "--relay", relays[0].name, "-o", "json"))
    assert history == relays[0].state()["history"], history


def test_diff(scene: Scene):
    """`diff` is empty while relays hold what is written, names each field that a file would change, says what the operator refuses,
    and which relay is behind, by field"""
    relays = scene.start_fleet(2)
    assert "The domains are the revision's" in ctl(scene, "diff")
    path = scene.folder / "edited.yaml"
    path.write_text(manifests.text(manifests.domain(scene.name, mtu={"v6": 1460})))
    assert "mtu.v6: 1500 -> 1460" in ctl(scene, "diff", "-f", str(path), code=1)
    scene.apply(manifests.domain(scene.name, "wrong", rules=[small_rule(1), small_rule(1) | {"name": "again"}]))
    scene.expect("MapDomain", "wrong", Accepted="Invalid")
    assert "+ wrong: not in the revision: Invalid: " in ctl(scene, "diff", code=1)
    scene.kubectl("delete", "mapdomain", "wrong")
    said = behind(scene, *relays)
    scene.say("diff, while a relay does not hear of the newest revision:\n" + said)
    assert "differs from what it holds\n        mtu.v6: " in said, said
    assert ctl(scene, "diff", "--fleet", "nowhere", code=2) == ""


def behind(scene: Scene, late: RelayPod, other: RelayPod) -> str:
    """What `diff` says while only one relay hears of revisions at once. The other gets them from its mounted copy, which the
    kubelet writes whenever it is time for that: then there is another revision."""
    command(*late.network().argv("nft", "-f", "-"), stdin=CUT)
    sizes = itertools.count(1480, -20)

    def says() -> str | None:
        scene.apply(manifests.domain(scene.name, mtu={"v6": next(sizes)}))
        scene.expect("BorderRelay", FLEET, Accepted=True)
        if not eventually(lambda: f"  {other.name}: holds the revision" in ctl(scene, "diff", code=None), 20):
            return None
        said = ctl(scene, "diff", code=None)
        return said if f"~ {late.name}: holds revision" in said else None

    found = eventually(says, 120)
    assert found, ctl(scene, "diff", code=None)
    return found


def test_capture(scene: Scene):
    """`capture` has packets of a flow that crosses, with their verdicts, and a spoofed one with the reason; tshark reads it"""
    (relay,) = scene.start_fleet(1)
    drops = scene.folder / "drops.pcapng"
    with scene.traffic(connections=0) as traffic:
        traffic.control(1)
        path = scene.folder / "crossing.pcapng"
        ctl(scene, "capture", "--relay", relay.name, "--verdict", "emit", "--packets", str(PACKETS), "-w", str(path))
        comments = read(path)
        assert len(comments) == PACKETS, comments
        for way in (FROM_CE, TO_CE):
            wanted = f"verdict emit, {way}, domain {scene.name}/{DOMAIN}"
            assert any(comment.startswith(wanted) for comment in comments), comments
        scene.say(f"capture: {len(comments)} packets, the first: {comments[0]}")
        with capturing(scene, relay, drops, "--reason", "SpoofedSource", "--packets", "1") as process:
            spoof(scene)
            assert process.wait(timeout=90) == 0, process.stderr.read()
    (comment,) = read(drops)
    assert comment.startswith(f"verdict drop SpoofedSource (answered), from_ce, domain {scene.name}/{DOMAIN}"), comment
    scene.say(f"capture: {comment}")


@contextlib.contextmanager
def capturing(scene: Scene, relay: RelayPod, path: Path, *flags: str):
    """A capture that has begun."""
    argv = [str(program("culvertctl")), "capture", "-n", scene.name, "--relay", relay.name, "-w", str(path), *flags]
    begun = captures(scene, relay)
    with subprocess.Popen(scene.cluster.argv(*argv), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert eventually(lambda: captures(scene, relay) > begun, 30), "it does not begin"
            yield process
        finally:
            process.kill()


def captures(scene: Scene, relay: RelayPod) -> int:
    """How many have begun: the relay's log says so."""
    return scene.kubectl("logs", relay.name, "--container", "relay").count("a capture begins")


def spoof(scene: Scene) -> None:
    """A customer sends from a port of its neighbour."""
    honest, neighbour = scene.fabric.customer(1), scene.fabric.customer(2)
    lie = packets.udp((honest.public, neighbour.port), (INTERNET, 9), b"not mine")
    send_ipv6(honest.ce, packets.encapsulate(honest.address, BR, lie))


def read(path: Path) -> list[str]:
    """The comments of a capture's packets."""
    return command("tshark", "-r", str(path), "-T", "fields", "-e", "frame.comment").splitlines()


def ctl(scene: Scene, *words: str, code: int | None = 0) -> str:
    """What culvertctl prints in the test's namespace, and whether it ends with that code."""
    argv = scene.cluster.argv(str(program("culvertctl")), *words, "-n", scene.name)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90)
    assert code in (None, done.returncode), f"`culvertctl {' '.join(words)}`: {done.returncode}: {done.stderr}{done.stdout}"
    return done.stdout


def test_plugin(scene: Scene):
    """as `kubectl-culvert` on the PATH it is `kubectl culvert`"""
    scene.start_fleet(1)
    link = scene.cluster.folder / "bin" / "kubectl-culvert"
    link.unlink(missing_ok=True)
    link.symlink_to(program("culvertctl"))
    try:
        assert f"{scene.name}/{FLEET}" in scene.cluster.kubectl("culvert", "status", "--namespace", scene.name)
    finally:
        link.unlink()
