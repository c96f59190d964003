"""The fleet's tests: all share one cluster with Culvert on it, each has a namespace of Kubernetes of its own."""

import contextlib
import os
from pathlib import Path

from cluster import binaries
from cluster.cluster import Cluster
from cluster.images import toolbox_image
from cluster.suite import ClusterSuite
from lab.lab import Missing

from .installation import NAMESPACE, Installation, archives, program
from .scene import Scene

HERE = Path(__file__).resolve().parent.parent


class FleetSuite(ClusterSuite):
    name = "fleet"
    folder = HERE

    def __init__(self):
        self.figures: dict[str, list[str]] = {}

    def check_machine(self) -> None:
        super().check_machine()
        archives()
        for name in ("culvertctl", "culvert-meter"):
            program(name)

    @contextlib.contextmanager
    def run(self, _folder: Path):
        """A cluster of the run's own, or the one that $CULVERT_CLUSTER names, which stays."""
        if name := os.environ.get("CULVERT_CLUSTER"):
            self.cluster = Cluster(name)
            if not self.cluster.exists():
                raise Missing(f"there is no cluster {name}: `make cluster` makes `dev`")
            self.culvert = Installation(self.cluster)
            self.prepare()
            yield
            return
        self.cluster = Cluster(f"t{os.getpid()}")
        self.culvert = Installation(self.cluster)
        self.cluster.up()
        try:
            self.prepare()
            yield
        finally:
            self.cluster.down()

    def prepare(self) -> None:
        self.cluster.load_image(toolbox_image(self.cluster.program("kubectl")))
        self.culvert.load_images()
        self.others = self.pods()

    @contextlib.contextmanager
    def stage(self, folder: Path):
        say = self.figures.setdefault(folder.name, []).append
        self.culvert.install()
        self.pauses = self.cluster.fabric.pauses()
        with Scene(self.cluster, folder, self.culvert, say) as scene:
            yield scene

    def check_afterwards(self, _scene: Scene) -> None:
        """A test's pods go with its namespace, and those of earlier tests are going; none may make pods elsewhere."""
        left = {pod for pod in self.pods() - self.others if pod[0] not in (NAMESPACE, *self.figures)}
        assert not left, f"pods are left: {sorted(left)}"

    def disturbance(self, _scene: Scene) -> str | None:
        with contextlib.suppress(Exception):  # what was broken may be the routers
            if self.cluster.fabric.pauses() != self.pauses:
                return "the machine stood still, or a router was cut off"
        return None

    def pods(self) -> set[tuple[str, str]]:
        found = self.cluster.get("pods", "--all-namespaces")["items"]
        return {(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in found}

    def summary(self) -> str:
        """What was measured. Times are of this machine, under this load: none is asserted."""
        lines = [line for test, said in self.figures.items() if said for line in (test, *(f"  {line}" for line in said))]
        return "\n".join([*lines, ""])

    def keep_evidence(self, scene: Scene, folder: Path) -> None:
        super().keep_evidence(scene, folder)
        kept = {"culvert.yaml": ("get", "culvert", "-A", "-o", "yaml"),
                "objects.txt": ("get", "deployments,configmaps,leases", "-A", "-o", "wide")}
        for name, words in kept.items():
            (folder / name).write_text(self.cluster.try_kubectl(*words).stdout)
        for pod in self.cluster.try_kubectl("get", "pods", "-A", "--no-headers", "-o",
                                            "custom-columns=N:.metadata.namespace,P:.metadata.name").stdout.splitlines():
            namespace, name = pod.split()
            said = self.cluster.try_kubectl("--namespace", namespace, "logs", name, "--all-containers", "--prefix").stdout
            (folder / f"{name}.log").write_text(said)
        with contextlib.suppress(Exception):
            for relay in scene.relays():
                (folder / f"{relay.name}.state.json").write_text(relay.get("/state")[1])
                (folder / f"{relay.name}.metrics").write_text(relay.get("/metrics")[1])

    def last_words(self, folder: Path) -> list[str]:
        """But for what is so on this cluster for every pod: it has no DNS of its own."""
        return [line for line in super().last_words(folder) if "MissingClusterDNS" not in line]


class FleetTests(FleetSuite):
    """With what no measurement needs."""

    def check_machine(self) -> None:
        super().check_machine()
        binaries.build([binaries.COLLECTOR])
