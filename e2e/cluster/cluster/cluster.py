"""One cluster: it is made, used and removed by its name, by any process."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.lab import Missing, eventually, uninterrupted
from lab.namespaces import namespaces, remove_namespaces

from . import binaries, cgroups, images
from .binaries import HERE
from .cache import CACHE
from .control_plane import ControlPlane
from .fabric import Fabric
from .node import Node
from .pki import make_pki

RUNNING = CACHE.parent / "run"
MANIFESTS = HERE / "manifests"
NAME = re.compile(r"[a-z][a-z0-9]{0,15}")


class Cluster:
    """A Kubernetes of two nodes and the routers around it. `up` makes it; a Cluster of the same name in another process
    reaches the same one."""

    def __init__(self, name: str = "dev"):
        if not NAME.fullmatch(name):
            raise Missing(f"name {name!r}: at most 16 small letters and digits, a letter first")
        self.name = name
        self.folder = RUNNING / name
        self.pki = self.folder / "pki"
        self.fabric = Fabric(name, self.folder)
        self.control = ControlPlane(self.fabric.control, self.folder)
        self.nodes = {number: Node(number, space, self.folder) for number, space in self.fabric.nodes.items()}

    @property
    def kubeconfig(self) -> Path:
        """The administrator's. The API server is reached from within the namespace `control` (`argv`)."""
        return self.pki / "admin.kubeconfig"

    def program(self, name: str) -> Path:
        """One of the cluster's programs: kubectl, helm, helm3, ..."""
        return self.folder / "bin" / name

    def exists(self) -> bool:
        return self.folder.exists() or any(owner == self.name for _, owner in namespaces())

    def up(self) -> None:
        """Makes the cluster; returns when its nodes are Ready. What a failure leaves is removed."""
        programs = binaries.build() | {"pause": images.pause_program()}
        pause = images.pause_image()
        self.claim()
        try:
            self.build(programs, pause)
        except BaseException:
            self.keep_logs()
            self.down()
            raise

    def claim(self) -> None:
        """Takes the name, unless it is taken."""
        RUNNING.mkdir(parents=True, exist_ok=True)
        try:
            if any(owner == self.name for _, owner in namespaces()):
                raise FileExistsError
            self.folder.mkdir()
        except FileExistsError:
            raise Missing(
                f"there is a cluster {self.name} already: `e2e/cluster/run --name {self.name} down` removes it"
            ) from None

    def build(self, programs: dict[str, Path], pause: Path) -> None:
        for part in ("bin", "control", "networks"):
            (self.folder / part).mkdir()
        for name, program in programs.items():  # a cluster stays what it was when the checkout changes
            (self.folder / "bin" / name).symlink_to(program)
        make_pki(self.pki)
        self.fabric.build()
        with ThreadPoolExecutor() as pool:
            begun = [pool.submit(self.boot, node, pause) for node in self.nodes.values()]
            begun.append(pool.submit(self.fabric.start_routing))
            self.start_control_plane()
            for one in begun:
                one.result()
        for node in self.nodes.values():
            node.start("kubelet")
            node.start("kube-proxy")
        self.kubectl("apply", "-f", str(MANIFESTS / "cluster"))
        self.wait_ready()
        self.kubectl("apply", "-f", str(MANIFESTS / "networks.yaml"))
        self.fabric.wait_routing()

    def boot(self, node: Node, pause: Path) -> None:
        node.boot()
        node.load_image(pause)

    def start_control_plane(self) -> None:
        self.control.start("etcd")
        self.start_api_server()
        self.control.start("kube-controller-manager")
        self.control.start("kube-scheduler")

    def start_api_server(self) -> None:
        """Starts it and waits until it answers."""
        self.control.start("kube-apiserver")
        self.control.programs.wait_until("kube-apiserver", self.api_answers, "it answered")

    def api_answers(self) -> bool:
        return self.try_kubectl("get", "--raw", "/readyz").returncode == 0

    def wait_ready(self) -> None:
        nodes = [f"node/{node.name}" for node in self.nodes.values()]
        ready = ("wait", "--for=condition=Ready", "--timeout=1s", *nodes)
        assert eventually(lambda: self.try_kubectl(*ready).returncode == 0, 60), self.try_kubectl(*ready).stderr
        self.wait_service_account("default")

    def wait_service_account(self, namespace: str) -> None:
        """Waits for what every pod of a namespace needs, and a controller makes: it may wait half a minute before it tries an API
        server again that was away."""
        account = ("get", "serviceaccount", "default", "--namespace", namespace)
        assert eventually(lambda: self.try_kubectl(*account).returncode == 0, 90), self.try_kubectl(*account).stderr

    def down(self) -> None:
        """Removes everything that has the cluster's name."""
        with uninterrupted():
            # A machine's first process takes all others along, and their mounts; it is the last to go.
            ended = remove_namespaces(self.name)
            eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in ended), 20)
            for node in self.nodes.values():
                remove_cgroup(node.cgroup)
            shutil.rmtree(self.folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another cluster's folder may be there
                RUNNING.rmdir()

    def argv(self, *argv: str) -> list[str]:
        """The command line that runs a program where the API server is reached; KUBECONFIG and PATH are set."""
        settings = [f"KUBECONFIG={self.kubeconfig}", f"PATH={self.folder}/bin:{os.environ['PATH']}"]
        return self.fabric.control.argv("env", *settings, *argv)

    def try_kubectl(self, *words: str, stdin: str | None = None, timeout: float = 120) -> subprocess.CompletedProcess:
        """Runs kubectl, which may fail."""
        argv = self.argv("kubectl", *words)
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout)

    def kubectl(self, *words: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Runs kubectl, which must work; returns what it printed."""
        done = self.try_kubectl(*words, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"`kubectl {' '.join(words)}`: {(done.stderr + done.stdout).strip()}"
        return done.stdout

    def apply(self, *objects: dict) -> None:
        """Applies manifests."""
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(json.dumps(thing) for thing in objects))

    def get(self, *words: str) -> dict:
        """`kubectl get`, as data."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def load_image(self, archive: Path) -> None:
        """Gives an OCI archive's images to every node's containerd; pods use them with imagePullPolicy Never."""
        for node in self.nodes.values():
            node.load_image(archive)

    def logs(self) -> list[Path]:
        return sorted(self.folder.glob("*/*.log"))

    def keep_logs(self) -> None:
        """Copies the programs' logs to where `down` does not remove them."""
        kept = CACHE / "failed" / self.name
        shutil.rmtree(kept, ignore_errors=True)
        for log in self.logs():
            (kept / log.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(log, kept / log.parent.name / log.name)
        binaries.say(f"logs of cluster {self.name}: {kept}")


def remove_cgroup(name: str) -> None:
    """A group is free only when the last of its processes, killed a moment ago, has gone."""

    def gone() -> bool:
        try:
            cgroups.remove(name)
        except OSError:
            return False
        return True

    assert eventually(gone, 20), f"the control group {name} cannot be removed: it has processes"


def clusters() -> list[str]:
    """The names of the clusters on this machine."""
    folders = {path.name for path in RUNNING.iterdir()} if RUNNING.exists() else set()
    return sorted(folders | {owner for _, owner in namespaces() if not owner.isdigit()})
