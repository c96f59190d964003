"""What one test has: the cluster, and a namespace of Kubernetes that goes away with the test."""

import json
import subprocess

from .cluster import Cluster
from .images import TOOLBOX

PATIENCE = 60
NETWORKS = "k8s.v1.cni.cncf.io/networks"
STATUS = "k8s.v1.cni.cncf.io/network-status"


class Scene:
    def __init__(self, cluster: Cluster, name: str):
        self.cluster = cluster
        self.name = name

    def __enter__(self) -> "Scene":
        self.create()
        return self

    def create(self) -> None:
        """Makes the namespace. Its pods need the service account, which a controller makes a moment later."""
        self.cluster.kubectl("create", "namespace", self.name)
        self.cluster.wait_service_account(self.name)

    def __exit__(self, *error) -> None:
        self.cluster.kubectl("delete", "namespace", self.name, "--timeout=60s")

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", self.name, *words, stdin=stdin)

    def get(self, *words: str) -> dict:
        return self.cluster.get("--namespace", self.name, *words)

    def start_pod(self, name: str, node: int, networks: str | list[dict] | None = None, script: str = "",
                  capabilities: tuple[str, ...] = ()) -> None:
        """A pod with a shell, BusyBox and kubectl. It runs the script, and then is ready and waits."""
        annotations = {} if networks is None else {
            NETWORKS: networks if isinstance(networks, str) else json.dumps(networks)
        }
        container = {
            "name": "toolbox",
            "image": TOOLBOX,
            "imagePullPolicy": "Never",
            "command": ["sh", "-ec", f"trap 'exit 0' TERM\n{script}\ntouch /ready\nsleep infinity & wait"],
            "readinessProbe": {"exec": {"command": ["test", "-e", "/ready"]}, "periodSeconds": 1},
            "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW", *capabilities]}},
        }
        self.cluster.apply({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name, "namespace": self.name, "labels": {"app": name}, "annotations": annotations,
            },
            "spec": {
                "nodeName": f"node{node}",
                "terminationGracePeriodSeconds": 5,
                "dnsPolicy": "Default",
                "containers": [container],
            },
        })

    def pod(self, name: str, node: int, *arguments, **options) -> None:
        """A pod, as `start_pod` has it, that is ready."""
        self.start_pod(name, node, *arguments, **options)
        self.wait_ready(name)

    def wait_ready(self, *pods: str) -> None:
        self.kubectl("wait", "--for=condition=Ready", f"--timeout={PATIENCE}s", *(f"pod/{pod}" for pod in pods))

    def exec(self, pod: str, *argv: str) -> str:
        """Runs a program that must work in a pod; returns what it printed."""
        return self.kubectl("exec", pod, "--", *argv)

    def try_exec(self, pod: str, *argv: str) -> subprocess.CompletedProcess:
        return self.cluster.try_kubectl("--namespace", self.name, "exec", pod, "--", *argv)

    def ping(self, pod: str, address) -> None:
        self.exec(pod, "ping", "-c", "1", "-W", "5", str(address))

    def pod_ip(self, pod: str) -> str:
        return self.get("pod", pod)["status"]["podIP"]

    def networks(self, pod: str) -> dict[str, dict]:
        """What the pod's annotation says that it was given, by interface."""
        status = json.loads(self.get("pod", pod)["metadata"]["annotations"][STATUS])
        return {entry["interface"]: entry for entry in status}

    def sysctl(self, pod: str, path: str) -> str:
        return self.exec(pod, "cat", f"/proc/sys/net/{path}").strip()

    def delete(self, pod: str) -> None:
        self.kubectl("delete", "pod", pod, "--timeout=60s")
