"""A real OpenTelemetry collector, which the whole fleet sends to. It writes what it took into files, a line of JSON for each request."""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster import binaries
from cluster.cluster import Cluster
from cluster.fabric import API_ADDRESS
from cluster.programs import Programs

PORT = 4317
ENDPOINT = f"http://{API_ADDRESS}:{PORT}"  # pods reach it where they reach the API server
CONFIG = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "{address}:{port}"}}}}}}}}
exporters:
  file/traces: {{path: {folder}/traces.json, flush_interval: 200ms}}
  file/metrics: {{path: {folder}/metrics.json, flush_interval: 200ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file/traces]}}
    metrics: {{receivers: [otlp], exporters: [file/metrics]}}
"""

Series = tuple[str, frozenset[tuple[str, str]]]  # name and labels


@dataclass(frozen=True)
class Span:
    name: str
    trace: str
    id: str
    parent: str
    resource: dict[str, str]
    attributes: dict[str, str]
    failed: bool

    @property
    def service(self) -> str:
        return self.resource["service.name"]

    @property
    def pod(self) -> str:
        return self.resource["service.instance.id"]


class Collector:
    def __init__(self, cluster: Cluster, folder: Path):
        control = cluster.fabric.control
        self.program, self.folder = binaries.build([binaries.COLLECTOR])["otelcol"], folder / "collector"
        self.programs = Programs(control, self.folder, control.argv)

    def __enter__(self) -> "Collector":
        self.folder.mkdir()
        (self.folder / "config.yaml").write_text(CONFIG.format(address=API_ADDRESS, port=PORT, folder=self.folder))
        self.start()
        return self

    def __exit__(self, *error) -> None:
        self.programs.stop("otelcol")

    def start(self) -> None:
        self.programs.start("otelcol", str(self.program), f"--config=file:{self.folder}/config.yaml")
        self.programs.wait_until("otelcol", lambda: "Everything is ready" in self.programs.log("otelcol"), "it was ready")

    def stop(self) -> None:
        self.programs.stop("otelcol")

    def spans(self, trace: str) -> list[Span]:
        """Those of one trace."""
        return [
            Span(one["name"], one["traceId"], one["spanId"], one.get("parentSpanId", ""), texts(part["resource"]["attributes"]),
                 texts(one.get("attributes", [])), one.get("status", {}).get("code", 0) == 2)
            for request in self.requests("traces") for part in request["resourceSpans"]
            for scope in part["scopeSpans"] for one in scope["spans"] if one["traceId"] == trace
        ]

    def series(self, service: str, pod: str) -> dict[Series, float]:
        """What a program pushed last: the value of each series, of histograms the count."""
        found, newest = {}, 0
        for request in self.requests("metrics"):
            for part in request["resourceMetrics"]:
                resource = texts(part["resource"]["attributes"])
                if (resource["service.name"], resource["service.instance.id"]) != (service, pod):
                    continue
                for metric in (metric for scope in part["scopeMetrics"] for metric in scope["metrics"]):
                    for point in points(metric):
                        at = int(point["timeUnixNano"])
                        if at > newest:  # the next push
                            found, newest = {}, at
                        labels = frozenset(texts(point.get("attributes", [])).items())
                        found[metric["name"], labels] = float(point.get("asDouble", point.get("count", 0)))
        return found

    def requests(self, what: str) -> list[dict]:
        path = self.folder / f"{what}.json"
        if not path.exists():
            return []
        # The last line may not be whole yet.
        return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def points(metric: dict) -> list[dict]:
    return next(metric[kind]["dataPoints"] for kind in ("sum", "gauge", "histogram") if kind in metric)


def texts(attributes: list[dict]) -> dict[str, str]:
    return {one["key"]: str(next(iter(one["value"].values()), "")) for one in attributes}
