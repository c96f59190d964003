"""Culvert on a cluster: images given to the nodes, charts installed by Helm as anybody would."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from cluster.cluster import Cluster
from lab.lab import REPOSITORY, Missing, eventually

NAMESPACE = "culvert-operator"
RELEASES = {"culvert-crds": REPOSITORY / "charts" / "culvert-crds", "culvert": REPOSITORY / "charts" / "culvert"}
IMAGES = ("operator", "relay", "speaker")
LABELS = "app.kubernetes.io/name=culvert-operator"


class Installation:
    """What `helm install` makes."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.installed = False

    def load_images(self) -> None:
        for archive in archives():
            self.cluster.load_image(archive)

    def install(self) -> None:
        """Returns when operators run. CRDs that are there stay as they are, and so do all objects."""
        if self.installed:
            return
        self.make_namespace()
        self.upgrade()
        self.installed = True

    def upgrade(self, charts: Path | None = None, values: dict | None = None) -> None:
        """Installs the charts of a folder, or those of this repository, whatever is installed; with these values and no others."""
        crds, culvert = (str(charts / name if charts else chart) for name, chart in RELEASES.items())
        self.helm("upgrade", "--install", "culvert-crds", crds, "--namespace", NAMESPACE)
        self.helm(
            "upgrade", "--install", "culvert", culvert, "--namespace", NAMESPACE,
            "--set", "images.pullPolicy=Never", "--set-json", json.dumps(values or {}), "--wait", "--timeout", "120s",
        )

    def release(self, version: str, folder: Path) -> Path:
        """What this repository would be as a release of another version: charts, in a new folder, and images in all nodes."""
        for name, chart in RELEASES.items():
            made = shutil.copytree(chart, folder / name) / "Chart.yaml"
            made.write_text(re.sub(r"(?m)^(version|appVersion): .*", rf"\1: {version}", made.read_text()))
        for image in IMAGES:
            self.tag(image, version)
        return folder

    def roll_back(self) -> None:
        """The release before; types stay as they are."""
        self.helm("rollback", "culvert", "--namespace", NAMESPACE, "--wait", "--timeout", "120s")

    def restart(self) -> None:
        """Operators of the image that the nodes have now."""
        self.cluster.kubectl("--namespace", NAMESPACE, "rollout", "restart", "deployment/culvert-operator")
        self.cluster.kubectl("--namespace", NAMESPACE, "rollout", "status", "deployment/culvert-operator", "--timeout=100s")

    def make_namespace(self) -> None:
        self.cluster.apply({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        })
        self.cluster.wait_service_account(NAMESPACE)

    def uninstall(self, release: str) -> None:
        self.installed = False
        self.helm("uninstall", release, "--namespace", NAMESPACE, "--wait", "--timeout", "120s")

    @contextlib.contextmanager
    def with_test(self, **values):
        """What `helm test` is told: values of the chart below `test`."""
        settings = [f"test.{name}={json.dumps(value)}" for name, value in values.items()]
        self.helm("upgrade", "culvert", str(RELEASES["culvert"]), "--namespace", NAMESPACE, "--reuse-values",
                  *(word for setting in settings for word in ("--set-json", setting)))
        try:
            yield
        finally:
            self.upgrade()

    def try_helm(self, *words: str, helm: str = "helm") -> subprocess.CompletedProcess:
        return subprocess.run(self.cluster.argv(helm, *words), capture_output=True, text=True, timeout=180)

    def helm(self, *words: str) -> str:
        done = self.try_helm(*words)
        assert done.returncode == 0, f"`helm {' '.join(words)}`: {(done.stderr + done.stdout).strip()}\n{self.told()}"
        return done.stdout

    def told(self) -> str:
        """What a person would look at next."""
        return self.cluster.try_kubectl("--namespace", NAMESPACE, "get", "pods,events").stdout

    def operators(self) -> list[dict]:
        return self.cluster.get("pods", "--namespace", NAMESPACE, "--selector", LABELS)["items"]

    def leader(self) -> str | None:
        """The pod that holds the lease, if it is still there."""
        leases = self.cluster.get("leases", "--namespace", NAMESPACE)["items"]
        holders = [lease["spec"].get("holderIdentity") or "" for lease in leases]
        names = [pod["metadata"]["name"] for pod in self.operators()]
        found = [name for name in names if any(name in holder for holder in holders)]
        assert len(found) <= 1, f"leases are held by {holders}, operators are {names}"
        return found[0] if found else None

    def wait_operators(self, count: int) -> None:
        """Kubelets ask an API server that was away again after a minute at most."""

        def ready() -> bool:
            pods = self.operators()
            return len(pods) == count and all(is_ready(pod) for pod in pods)

        assert eventually(lambda: ready() or time.sleep(0.2), 120), self.told()

    def tag(self, name: str, tag: str) -> str:
        """Gives an image a second name, in all nodes; returns that."""
        for node in self.cluster.nodes.values():
            images = node.machine.run("ctr", "--namespace", "k8s.io", "images", "list", "--quiet").split()
            here = next(image for image in images if f"/culvert-{name}:" in image)
            made = f"{here.rpartition(':')[0]}:{tag}"
            node.machine.run("ctr", "--namespace", "k8s.io", "images", "tag", "--force", here, made)
        return made

    def scale(self, replicas: int) -> None:
        self.cluster.kubectl("--namespace", NAMESPACE, "scale", "deployment/culvert-operator", f"--replicas={replicas}")

    def culvertctl(self, *words: str) -> str:
        done = subprocess.run(self.cluster.argv(str(program("culvertctl")), *words), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"`culvertctl {' '.join(words)}`: {(done.stderr + done.stdout).strip()}"
        return done.stdout


def is_ready(pod: dict) -> bool:
    return any((one["type"], one["status"]) == ("Ready", "True") for one in pod["status"].get("conditions", []))


def target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))


def archives() -> list[Path]:
    folder = Path(os.environ.get("CULVERT_IMAGES", target() / "images"))
    found = [folder / f"{name}.oci.tar" for name in IMAGES]
    if lacking := [str(path) for path in found if not path.exists()]:
        raise Missing(f"{', '.join(lacking)}: not there; run `make images`")
    return found


def program(name: str) -> Path:
    path = target() / "release" / name
    if not os.access(path, os.X_OK):
        raise Missing(f"{path} is missing: run `make build meter`")
    return path
