"""What tests/faults.py does to a cluster, and how it sees that all is well afterwards."""

import contextlib
import json
import os
import signal
from typing import Iterator

from lab.lab import eventually
from lab.namespaces import command

from . import manifests
from .installation import NAMESPACE
from .manifests import DOMAIN, HALVES, small_rule
from .relays import RelayPod, name_of, processes
from .scene import Scene, pause

DAY = 24 * 60 * 60

# The way of a pod's packets through its node: nothing of them passes, and nobody is told.
CUT = """table inet cut {{
    chain forward {{
        type filter hook forward priority filter - 10
        ip saddr {pod} drop
        ip daddr {pod} drop
    }}
}}
"""


@contextlib.contextmanager
def cut_off(scene: Scene, pod: dict) -> Iterator[None]:
    """A pod reaches its own node and nothing else."""
    node = next(one for one in scene.cluster.nodes.values() if one.name == pod["spec"]["nodeName"])
    command(*node.namespace.argv("nft", "-f", "-"), stdin=CUT.format(pod=pod["status"]["podIP"]))
    try:
        yield
    finally:
        node.namespace.run("nft", "delete", "table", "inet", "cut")


def start(scene: Scene) -> list[RelayPod]:
    """A fleet of two relays that announces."""
    return scene.start_fleet(2, bgp=manifests.bgp())


def starts_again(scene: Scene, relays: list[RelayPod], killed: RelayPod, programs: list[int]) -> None:
    """Kills these programs of a relay's pod; returns when it forwards and announces again, by what it had kept."""
    starts_by_what_it_kept(scene, killed, programs)
    scene.expect_announced(relays)


def starts_by_what_it_kept(scene: Scene, killed: RelayPod, programs: list[int]) -> None:
    """Kills these programs of a relay's pod; returns when it is ready again, by what it had kept."""
    since = killed.state()["started"]
    kill(programs)
    started = eventually(lambda: pause(lambda: killed.is_ready() and killed.state()["started"] != since), 90)
    assert started, f"{killed.name} does not start again"
    revision = killed.state()["revision"]
    assert revision["source"] != "Api", f"{killed.name} has it from the API server, which has none: {revision}"
    scene.say(f"{killed.name} started again by {revision['source']}, revision {revision['sequence']}")


def change_arrives(scene: Scene, relays: list[RelayPod], number: int) -> None:
    """A rule of that number comes into the domain, and all of these relays forward by it."""
    hashes = {relay.name: relay.state()["revision"]["hash"] for relay in relays}
    scene.apply(manifests.domain(scene.name, rules=[*HALVES, small_rule(number)]))
    scene.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True, Ready=True)
    for relay in relays:
        revision = relay.state()["revision"]
        assert revision["hash"] != hashes[relay.name], f"{relay.name} has {revision}, as before"


def leading(scene: Scene) -> dict:
    """The pod of the leading operator, as soon as there is one."""
    assert eventually(lambda: pause(scene.culvert.leader), 30), "nobody leads"
    name = scene.culvert.leader()
    return next(pod for pod in scene.culvert.operators() if pod["metadata"]["name"] == name)


def containers(scene: Scene, relays: list[RelayPod] | None = None) -> dict[str, dict[str, str]]:
    """The ids of the containers by pod, now or as they were."""
    return {relay.uid: relay.containers for relay in relays or scene.relays()}


def pod_processes(uid: str) -> list[int]:
    """The processes of a pod, which its control group carries the uid of."""
    found = processes(uid)
    assert found, f"no process of pod {uid}"
    return found


def programs_of(pod: str) -> list[int]:
    """All processes of a pod but the one that only holds its namespaces."""
    return [pid for pid in pod_processes(pod) if name_of(pid) != "pause"]


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def log_lines(scene: Scene, pod: str, words: str) -> list[str]:
    """When an operator logged a message with these words, before its last end too."""
    logs = [scene.cluster.try_kubectl("--namespace", NAMESPACE, "logs", pod, *more).stdout for more in (["--previous"], [])]
    lines = [json.loads(line) for text in logs for line in text.splitlines() if line.startswith("{")]
    found = [line["timestamp"] for line in lines if words in line.get("message", "")]
    assert found, f"{pod} has not logged `{words}`"
    return found


def read_index(scene: Scene, config_map: str) -> dict:
    return json.loads(scene.get("configmap", config_map)["data"]["index.json"])


def write_index(scene: Scene, config_map: str, index: dict) -> None:
    path = f"/api/v1/namespaces/{scene.name}/configmaps/{config_map}"
    scene.api.patch(path, {"data": {"index.json": json.dumps(index)}})
