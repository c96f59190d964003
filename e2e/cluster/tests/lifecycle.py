"""Clusters come and go."""

import os
from pathlib import Path

from cluster import cgroups
from cluster.cluster import Cluster
from cluster.images import toolbox_image
from cluster.scene import Scene
from lab.lab import Missing, eventually
from lab.namespaces import command

# Where programs of a node would leave files if they were not kept in.
FOLDERS = ("/opt", "/usr/libexec", "/etc", "/etc/cni/net.d", "/var/lib", "/var/log", "/run", "/run/netns")
OURS = "culvert-"


def test_second_cluster_leaves_nothing(scene: Scene):
    """a second cluster beside the first, with pods in it: `down` takes all of it away, and the first goes on"""
    second = Cluster(f"{scene.cluster.name}b")
    before = machine(second)
    second.up()
    try:
        second.load_image(toolbox_image(second.program("kubectl")))
        other = Scene(second, scene.name)
        other.create()
        other.start_pod("one", 1, "default/ipv4a,default/ipv6")
        other.start_pod("two", 2, "default/ipv4")
        other.wait_ready("one", "two")
        during = machine(second)
        for kind in ("namespaces", "processes", "control groups", "files"):
            assert during[kind] != before[kind], f"a cluster makes no {kind}, so this test shows nothing"
    finally:
        second.down()  # with its pods running
    assert eventually(lambda: machine(second) == before, 10), difference(before, machine(second))
    scene.pod("first", 1, "default/ipv4")


def machine(cluster: Cluster) -> dict[str, list[str]]:
    """What this machine has of a cluster, and of nobody."""
    mine = f"{OURS}{cluster.name}-"
    return {
        "namespaces": [name for name in os.listdir("/run/netns") if name.startswith((mine, "cni-"))],
        "processes": processes(cluster),
        "mounts": [
            line for line in Path("/proc/self/mounts").read_text().splitlines()
            if any(word in line for word in (str(cluster.folder), mine, "/kubelet", "containerd"))
        ],
        "links": [line.split()[0] for line in command("ip", "-brief", "link").splitlines()],
        "control groups": [str(path) for path in cgroups.existing(mine)],
        "files": [str(cluster.folder)] * cluster.folder.exists() + [
            f"{folder}/{name}" for folder in FOLDERS if Path(folder).is_dir() for name in os.listdir(folder)
            if any(word in name for word in ("kube", "containerd", "cni", "pods", "containers"))
        ],
    }


def processes(cluster: Cluster) -> list[str]:
    """Processes in the cluster's namespaces, of its programs, and in its control groups."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text() + (folder / "cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(cluster.folder) in words or f"{OURS}{cluster.name}-" in words:
            found.append(folder.name)
    return found


def difference(before: dict, after: dict) -> str:
    return "\n".join(f"{kind}: {before[kind]} became {after[kind]}" for kind in before if before[kind] != after[kind])


def test_names(scene: Scene):
    """a name that is taken, or that is none, is refused with a sentence"""
    assert "there is a cluster" in refused(lambda: Cluster(scene.cluster.name).up())
    for name in ("", "7", "Dev", "a-b", "a" * 17):
        assert "16 small letters and digits" in refused(lambda name=name: Cluster(name))


def refused(attempt) -> str:
    try:
        attempt()
    except Missing as missing:
        return str(missing)
    raise AssertionError("it was not refused")
