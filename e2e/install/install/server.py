"""An API server without nodes: it judges manifests and rights as any Kubernetes does, and runs nothing."""

import json
import os
import subprocess
from pathlib import Path

from cluster import binaries
from cluster.control_plane import ControlPlane
from cluster.fabric import API_ADDRESS
from cluster.pki import make_pki
from lab.lab import REPOSITORY, eventually
from lab.namespaces import Namespace

# Of others: what the charts and examples use of them.
MONITORING = REPOSITORY / "e2e" / "install" / "manifests" / "monitoring.yaml"
NETWORKS = REPOSITORY / "e2e" / "cluster" / "manifests" / "cluster" / "network-attachment-definitions.yaml"

# In every namespace that is made: there are no controllers, which make `default`.
ACCOUNT = "default"


class ApiServer:
    """etcd and the API server, in a network namespace of this run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.space = Namespace(os.getpid(), "api")
        self.control = ControlPlane(self.space, folder)
        self.levels: dict[str, str] = {}  # of Pod Security, by namespace

    def start(self) -> None:
        programs = binaries.build()
        for part in ("bin", "control"):
            (self.folder / part).mkdir(parents=True)
        for name, program in programs.items():
            (self.folder / "bin" / name).symlink_to(program)
        make_pki(self.folder / "pki")
        Namespace.create(os.getpid(), "api").ip(f"addr add {API_ADDRESS}/32 dev lo")
        self.control.start("etcd")
        self.control.start("kube-apiserver")
        self.control.programs.wait_until("kube-apiserver", self.answers, "it answered")
        for types in (NETWORKS, MONITORING):
            self.kubectl("apply", "-f", str(types))
            self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(types))

    def answers(self) -> bool:
        return self.run("kubectl", "get", "--raw", "/readyz").returncode == 0

    def run(self, program: str, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess:
        """kubectl, helm or helm3, which may fail."""
        settings = [f"KUBECONFIG={self.folder}/pki/admin.kubeconfig", f"HELM_CACHE_HOME={self.folder}/helm"]
        argv = self.space.argv("env", *settings, str(self.folder / "bin" / program), *words)
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120, cwd=REPOSITORY)

    def must(self, program: str, *words: str, stdin: str | None = None) -> str:
        """The same, which must work; returns what it printed."""
        done = self.run(program, *words, stdin=stdin)
        assert done.returncode == 0, f"`{program} {' '.join(words)}`: {(done.stderr + done.stdout).strip()}"
        return done.stdout

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.must("kubectl", *words, stdin=stdin)

    def judge(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess:
        """What the API server says of manifests, without keeping them. A warning is a failure, an unknown field too."""
        strict = ("--dry-run=server", "--validate=strict", "--warnings-as-errors", "--output=json")
        return self.run("kubectl", "create", *strict, *words, stdin=stdin)

    def accept(self, *words: str, stdin: str | None = None) -> list[dict]:
        """The objects, as the API server would keep them."""
        done = self.judge(*words, stdin=stdin)
        assert done.returncode == 0, f"the API server refuses: {done.stderr.strip()}"
        return objects(done.stdout)

    def wait_types(self, there: bool = True) -> None:
        """Until those who ask which types there are hear of Culvert's, or no longer: a moment after these were written or deleted."""
        told = eventually(lambda: ("culvert.dev/" in self.kubectl("api-versions")) is there, 30)
        assert told, self.kubectl("api-versions")

    def make_namespace(self, name: str, level: str = "privileged") -> None:
        """With a Pod Security level: what it refuses in a pod, it warns of in a deployment."""
        if self.levels.get(name) == level:
            return
        labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn")}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": name}}
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, (namespace, account))))
        self.levels[name] = level


def objects(text: str) -> list[dict]:
    """kubectl prints one JSON object after the other, and lists of them."""
    found, decoder, at = [], json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        thing, at = decoder.raw_decode(text, at)
        found += thing["items"] if thing["kind"] == "List" else [thing]
    return found
