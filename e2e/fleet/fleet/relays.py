"""Relay pods, seen as the operator and a monitoring system see them; and their network namespaces, as nobody else does."""

import contextlib
import http.client
import json
import os
import signal
from pathlib import Path

from cluster.fabric import Fabric
from cluster.scene import STATUS
from lab.lab import eventually
from lab.namespaces import Namespace
from lab.relay import Pages, fetch

from .api import connect

ADMIN_PORT, SPEAKER_PORT = 9108, 9109
SIDE4, SIDE6 = "net1", "net2"


class RelayPod(Pages):
    """One pod of a fleet, as it was when it was looked at."""

    def __init__(self, fabric: Fabric, pod: dict):
        self.fabric = fabric
        self.name, self.uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        self.node = pod["spec"].get("nodeName")
        self.ip = pod["status"].get("podIP")
        self.leaving = "deletionTimestamp" in pod["metadata"]
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
        self.ready = conditions.get("Ready") == "True" and not self.leaving
        networks = json.loads(pod["metadata"].get("annotations", {}).get(STATUS, "[]"))
        self.addresses = {entry["interface"]: entry["ips"][0] for entry in networks if entry.get("ips")}
        started = [*pod["status"].get("initContainerStatuses", []), *pod["status"].get("containerStatuses", [])]
        self.containers = {one["name"]: one.get("containerID", "").rpartition("/")[2] for one in started}

    def get(self, path: str, timeout: float = 5) -> tuple[int, str]:
        """Read from another node of the pod network."""
        connection = http.client.HTTPConnection(self.ip, ADMIN_PORT)
        connection.sock = connect(self.fabric.control, self.ip, ADMIN_PORT, timeout)
        return fetch(connection, path)

    def speaker(self) -> dict:
        """The speaker's state."""
        connection = http.client.HTTPConnection(self.ip, SPEAKER_PORT)
        connection.sock = connect(self.fabric.control, self.ip, SPEAKER_PORT)
        status, text = fetch(connection, "/state")
        assert status == 200, f"{self.name}'s speaker: {status}: {text}"
        return json.loads(text)

    def process(self, container: str = "relay") -> int | None:
        """The pid, seen from this machine, of a container's program. It runs in a control group of the container's id,
        and after a restart in one of another id: the pod's is the same."""
        wanted = self.containers[container]
        return next(iter(processes(wanted)), None)

    def network(self) -> "PodNetwork":
        pid = next(iter(processes(self.uid)), None)  # of whichever container: they share it
        assert pid, f"{self.name} has no process"
        return PodNetwork(self.name, pid)

    def kill(self) -> None:
        """Kills the relay's process, as the kernel does when memory runs out."""
        pid = self.process()
        assert pid, f"{self.name}: no relay runs"
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not Path(f"/proc/{pid}").exists(), 10), f"{self.name}: process {pid} does not end"

    def bird(self) -> int:
        """The pid of its BIRD."""
        found = [pid for pid in processes(self.containers["speaker"]) if name_of(pid) == "bird"]
        assert len(found) == 1, f"{self.name}: BIRD is {found}"
        return found[0]

    def kill_all(self) -> None:
        """Kills every process of the pod, as a node's death does but for its network."""
        for pid in processes(self.uid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def addresses_of(relays: list[RelayPod]) -> set[str]:
    """Those on the sides' segments, from which they have BGP sessions."""
    return {relay.addresses[side] for relay in relays for side in (SIDE4, SIDE6)}


class PodNetwork(Namespace):
    """A pod's network namespace, entered from outside by one of its processes."""

    def __init__(self, node: str, pid: int):
        self.node = self.name = node
        self.pid = pid

    @property
    def path(self) -> Path:
        return Path(f"/proc/{self.pid}/ns/net")

    def argv(self, *argv: str) -> list[str]:
        return ["nsenter", f"--net={self.path}", *argv]

    def ip(self, *lines: str) -> None:
        for line in lines:
            self.run("ip", *line.split())

    def show(self, *words: str) -> str:
        return self.run("ip", *words)


def name_of(pid: int) -> str:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def processes(container: str) -> list[int]:
    """The processes of a container or pod, by its id, in the order they started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if container and container in (folder / "cgroup").read_text():
                found.append((started(folder), int(folder.name)))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [pid for _, pid in sorted(found)]


def started(folder: Path) -> int:
    """When a process began, in ticks since boot: its number says little, as numbers come round again (proc_pid_stat(5))."""
    return int((folder / "stat").read_text().rpartition(")")[2].split()[19])
