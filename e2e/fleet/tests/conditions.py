"""What cannot be is said where people look, and holds up nobody else."""

import json

from fleet import manifests
from fleet.manifests import DOMAIN, FLEET, small_rule
from fleet.scene import Scene
from lab.lab import eventually

BAD_DOMAINS = 10


def test_missing_network(scene: Scene):
    """a network that is not there: the condition names it; once it is made, the fleet starts by itself"""
    missing = f"{scene.name}/ipv4-of-ours"
    scene.apply(manifests.fleet(scene.name, networks=(missing, "default/ipv6")), manifests.domain(scene.name))
    found = scene.expect("BorderRelay", FLEET, (missing,), Ready=False, Programmed=False)
    scene.say(f"{found['Ready']['reason']}: {found['Ready']['message']}")
    config = scene.cluster.get("network-attachment-definition", "ipv4")["spec"]["config"]
    scene.apply({
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "ipv4-of-ours", "namespace": scene.name}, "spec": {"config": config},
    })
    scene.expect("BorderRelay", FLEET, Ready=True, Programmed=True)


def test_forbidden_namespace(scene: Scene):
    """a namespace that admits no relays: the condition says which label it needs; with the label the fleet starts"""
    level = "pod-security.kubernetes.io/enforce"
    scene.kubectl("label", "--overwrite", "namespace", scene.name, f"{level}=baseline")
    scene.apply(manifests.fleet(scene.name), manifests.domain(scene.name))
    found = scene.expect("BorderRelay", FLEET, (f"{level}=privileged",), Ready=False)
    scene.say(f"{found['Ready']['reason']}: {found['Ready']['message']}")
    scene.kubectl("label", "--overwrite", "namespace", scene.name, f"{level}=privileged")
    scene.expect("BorderRelay", FLEET, Ready=True, Programmed=True)


def test_full_nodes(scene: Scene):
    """no node has room: the condition has the scheduler's words; with less asked for, the fleet starts"""
    resources = {"requests": {"cpu": "1000"}}
    scene.apply(
        manifests.fleet(scene.name, podTemplate={"resources": resources}), manifests.domain(scene.name))
    found = scene.expect("BorderRelay", FLEET, ("Insufficient cpu",), Ready=False)
    scene.say(f"{found['Ready']['reason']}: {found['Ready']['message']}")
    scene.apply(manifests.fleet(scene.name))
    scene.expect("BorderRelay", FLEET, Ready=True, Programmed=True)


def test_bad_objects_delay_nobody(scene: Scene):
    """bad fleets and bad domains all around: a good domain's changes are programmed one after the other all the same"""
    relays = scene.start_fleet(1)
    scene.apply(
        manifests.fleet(scene.name, "without-network", networks=("nowhere/a", "nowhere/b")),
        manifests.fleet(scene.name, "too-large", podTemplate={"resources": {"requests": {"cpu": "1000"}}}),
        manifests.fleet(scene.name, "no-image", replicas=1, podTemplate={"image": "localhost/there-is-none:1"}),
        *(manifests.domain(scene.name, f"bad{number}", rules=[small_rule(1), small_rule(1) | {"name": "again"}])
          for number in range(BAD_DOMAINS)),
    )
    for name in ("without-network", "too-large", "no-image"):
        scene.expect("BorderRelay", name, Ready=False)
    for number in range(BAD_DOMAINS):
        scene.expect("MapDomain", f"bad{number}", Accepted="Invalid")
    for number in range(10, 15):
        scene.apply(manifests.domain(scene.name, rules=[*manifests.HALVES, small_rule(number)]))
        scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True, Ready=True)
        prefixes = json.dumps(relays[0].state()["domains"])
        assert f"10.64.{number}.0/24" in prefixes, f"the relay does not have it: {prefixes}"
    assert eventually(lambda: scene.conditions("BorderRelay", "too-large")["Ready"]["status"] == "False", 5)
