"""A real Prometheus that scrapes the cluster as deploy/monitoring/scrape.yaml says. Debian's is built without service discovery by
Kubernetes: this class tells it of pods in a file, with the labels that Kubernetes' discovery gives them."""

import http.client
import json
import re
import shutil
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

from cluster.programs import Programs
from lab.lab import REPOSITORY, eventually
from lab.relay import fetch

from .api import Api, Refused, connect

MONITORING = REPOSITORY / "deploy" / "monitoring"
DISCOVERY = "kubernetes_sd_configs: [{role: pod}]"
ADDRESS, PORT = "127.0.0.1", 9090  # of the API server's namespace, which reaches all pods
INTERVAL = 1  # seconds from scrape to scrape, and from look to look at the rules
LOOKS = 0.3  # seconds from look to look at the pods

Labels = dict[str, str]


class Prometheus:
    def __init__(self, api: Api, folder: Path):
        self.api, self.folder = api, folder / "prometheus"
        self.programs = Programs(api.namespace, self.folder, api.namespace.argv)
        self.ends = threading.Event()

    def __enter__(self) -> "Prometheus":
        self.folder.mkdir()
        shutil.copy(MONITORING / "rules.yaml", self.folder)
        (self.folder / "prometheus.yaml").write_text(self.config())
        self.tell()
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()
        self.programs.start(
            "prometheus", "prometheus", f"--config.file={self.folder}/prometheus.yaml", f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={ADDRESS}:{PORT}", "--log.level=warn")
        self.programs.wait_until("prometheus", self.answers, "it was ready")
        return self

    def __exit__(self, *error) -> None:
        self.ends.set()
        self.watcher.join(10)
        self.programs.stop("prometheus")

    def config(self) -> str:
        scrape = (MONITORING / "scrape.yaml").read_text()
        assert scrape.count(DISCOVERY) == 2, f"scrape.yaml has not two times {DISCOVERY}"
        files = f"file_sd_configs: [{{files: [{self.folder}/pods.json], refresh_interval: 1s}}]"
        return f"global: {{scrape_interval: {INTERVAL}s, evaluation_interval: {INTERVAL}s}}\n{scrape.replace(DISCOVERY, files)}"

    # Pods

    def watch(self) -> None:
        while not self.ends.wait(LOOKS):
            try:
                self.tell()
            except (Refused, OSError):
                continue  # the API server is busy, or away

    def tell(self) -> None:
        pods = self.api.get("/api/v1/pods")["items"]
        made = self.folder / "new.json"
        made.write_text(json.dumps([target for pod in pods for target in targets(pod)]))
        made.rename(self.folder / "pods.json")

    # Answers

    def answers(self) -> bool:
        try:
            return self.ask("/-/ready")[0] == 200
        except OSError:
            return False

    def instant(self, expr: str) -> list[tuple[Labels, float]]:
        found = self.query("query", query=expr)
        return [(series["metric"], float(series["value"][1])) for series in found]

    def range(self, expr: str, start: float, end: float, step: float = INTERVAL) -> list[tuple[Labels, list[tuple[float, float]]]]:
        found = self.query("query_range", query=expr, start=start, end=end, step=step)
        return [(series["metric"], [(float(at), float(value)) for at, value in series["values"]]) for series in found]

    def wait(self, expr: str, count: int, seconds: float = 60) -> None:
        """Until the query has so many series."""
        def found() -> bool:
            time.sleep(0.2)
            return len(self.instant(expr)) == count
        assert eventually(found, seconds), f"not {count} series, but {self.instant(expr)}: {expr}"

    def query(self, kind: str, **words) -> list[dict]:
        status, text = self.ask(f"/api/v1/{kind}?{urlencode(words)}")
        answer = json.loads(text)
        assert status == 200 and answer["status"] == "success", f"{words}: {text}"
        assert not answer.get("warnings"), f"{words}: {answer['warnings']}"
        return answer["data"]["result"]

    def ask(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(ADDRESS, PORT)
        connection.sock = connect(self.api.namespace, ADDRESS, PORT, 30)
        return fetch(connection, path)


def targets(pod: dict) -> list[dict]:
    """One for each port of each container, init containers too, as Prometheus' role `pod` makes them."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod["status"]
    if not status.get("podIP"):
        return []
    own = {
        "__meta_kubernetes_namespace": metadata["namespace"],
        "__meta_kubernetes_pod_name": metadata["name"],
        "__meta_kubernetes_pod_phase": status.get("phase", ""),
        "__meta_kubernetes_pod_node_name": spec.get("nodeName", ""),
    } | {f"__meta_kubernetes_pod_label_{plain(key)}": value for key, value in metadata.get("labels", {}).items()}
    return [
        {"targets": [f"{status['podIP']}:{port['containerPort']}"], "labels": own | {
            "__meta_kubernetes_pod_container_name": container["name"],
            "__meta_kubernetes_pod_container_port_name": port.get("name", ""),
        }}
        for container in [*spec["containers"], *spec.get("initContainers", [])] for port in container.get("ports", [])
    ]


def plain(label: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", label)
