"""The cluster's tests: all share one cluster, each has a namespace of Kubernetes of its own."""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from lab.namespaces import is_alive
from lab.runner import Suite

from .binaries import HERE
from .cli import check_machine
from .cluster import Cluster, clusters
from .fabric import __doc__ as MAP
from .images import toolbox_image
from .scene import Scene

OF_A_RUN = re.compile(r"t(\d+)[a-z]?")  # the names of clusters that tests make


class ClusterSuite(Suite):
    name = "cluster"
    folder = HERE

    def check_machine(self) -> None:
        check_machine()

    def remove_leftovers(self) -> None:
        for name in clusters():
            if (match := OF_A_RUN.fullmatch(name)) and not is_alive(match[1]):
                Cluster(name).down()
                print(f"removed cluster {name} of a killed run")

    @contextlib.contextmanager
    def run(self, _folder: Path):
        self.cluster = Cluster(f"t{os.getpid()}")
        self.cluster.up()
        try:
            self.cluster.load_image(toolbox_image(self.cluster.program("kubectl")))
            yield
        finally:
            self.cluster.down()

    def stage(self, folder: Path) -> Scene:
        return Scene(self.cluster, folder.name)

    def check_afterwards(self, scene: Scene) -> None:
        """A test's pods go with its namespace; those of another namespace it may not have made."""
        others = [pod["metadata"]["name"] for pod in self.cluster.get("pods", "--all-namespaces")["items"]
                  if pod["metadata"]["namespace"] != scene.name]
        assert not others, f"pods are left: {others}"

    def keep_evidence(self, scene: Scene, folder: Path) -> None:
        for what in ("pods", "events"):
            text = self.cluster.try_kubectl("describe" if what == "pods" else "get", what, "--all-namespaces").stdout
            (folder / f"{what}.txt").write_text(text)
        for log in self.cluster.logs():
            (folder / log.parent.name).mkdir(exist_ok=True)
            shutil.copy(log, folder / log.parent.name / log.name)

    def how_to_enter(self, scene: Scene) -> str:
        return f"{MAP}\nThe cluster is up: e2e/cluster/run --name {self.cluster.name} shell; namespace {scene.name}"

    def shell(self, folder: Path) -> None:
        with self.stage(folder) as scene:
            print(self.how_to_enter(scene))
            subprocess.run(self.cluster.argv(os.environ.get("SHELL", "/bin/sh")))

    def last_words(self, folder: Path) -> list[str]:
        """The warnings about the test's own objects."""
        events = (folder / "events.txt").read_text().splitlines() if (folder / "events.txt").exists() else []
        return [line for line in events if line.startswith(f"{folder.name} ") and "Warning" in line][-5:]
