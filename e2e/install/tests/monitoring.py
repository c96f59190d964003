"""What the chart makes for Prometheus and Grafana. That it finds relays, and that panels show something, e2e/fleet tries."""

import json
import re
import subprocess
from pathlib import Path

from install.helm import HELMS, NAMESPACE, VALUES, accepted
from install.suite import Stage
from lab.lab import REPOSITORY

MONITORING = REPOSITORY / "deploy" / "monitoring"
DASHBOARDS = {"culvert-fleet", "culvert-relay", "culvert-domain", "culvert-bgp"}
KINDS = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
EVERYTHING = """
dashboards: {enabled: true}
monitoring: {podMonitor: {enabled: true}, serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}}
"""


def test_off_unless_asked_for(stage: Stage):
    """without the switches the chart makes none of it, so that a cluster without the types takes it"""
    found = accepted(stage.server, VALUES["default"], HELMS[0])
    assert not [thing["kind"] for thing in found if thing["kind"] in KINDS | {"ConfigMap"}]


def test_the_types_of_prometheus_take_it(stage: Stage):
    """no refusal, no unknown field; both Helms say the same; labels and intervals are those of the values"""
    found, other = (ours(accepted(stage.server, VALUES["everything"], helm)) for helm in HELMS)
    assert {kind: thing["spec"] for kind, thing in found.items()} == {kind: thing["spec"] for kind, thing in other.items()}
    assert set(found) == KINDS
    for thing in found.values():
        assert thing["metadata"]["labels"]["release"] == "prometheus", thing["metadata"]
    pods, services = found["PodMonitor"]["spec"], found["ServiceMonitor"]["spec"]
    assert {end["interval"] for end in [*pods["podMetricsEndpoints"], *services["endpoints"]]} == {"15s"}
    assert pods["namespaceSelector"] == {"matchNames": ["fleets-a", "fleets-b"]}


def ours(things: list[dict]) -> dict[str, dict]:
    """The objects that are about monitoring, by kind: there is one of each."""
    return {thing["kind"]: thing for thing in things if thing["kind"] in KINDS}


def test_a_plain_prometheus_scrapes_the_same(stage: Stage):
    """deploy/monitoring/scrape.yaml selects and names what the monitors do"""
    found = {thing["kind"]: thing["spec"] for thing in accepted(stage.server, EVERYTHING, HELMS[0]) if thing["kind"] in KINDS}
    relays, operators = (MONITORING / "scrape.yaml").read_text().split("- job_name: ")[1:]
    pods, services = found["PodMonitor"], found["ServiceMonitor"]
    ports = [end["port"] for end in pods["podMetricsEndpoints"]]
    assert pods["namespaceSelector"] == {"any": True}
    assert keeps(relays) == labels(pods) | {"container_port_name": f"({'|'.join(ports)})"}
    assert "honor_labels" not in relays and "honor_labels: true" in operators and services["endpoints"][0]["honorLabels"]
    for end in pods["podMetricsEndpoints"]:
        for step in end["relabelings"]:
            assert f"source_labels: [{step['sourceLabels'][0]}], target_label: {step['targetLabel']}" in relays, step
        for step in end["metricRelabelings"]:
            assert f"{{action: {step['action']}, regex: {step['regex']}}}" in relays, step
    instance = {"label_app_kubernetes_io_instance": "culvert"}  # two releases have an operator each, and one Prometheus
    assert keeps(operators) | instance == labels(services) | {"container_port_name": services["endpoints"][0]["port"]}
    for thing, job in ((pods, relays), (services, operators)):
        assert f"source_labels: [__meta_kubernetes_pod_{label(thing['jobLabel'])}], target_label: job" in job


def keeps(job: str) -> dict[str, str]:
    return dict(re.findall(r"source_labels: \[__meta_kubernetes_pod_(\w+)\], action: keep, regex: (\S+?)\}\n", job))


def labels(monitor: dict) -> dict[str, str]:
    return {label(key): value for key, value in monitor["selector"]["matchLabels"].items()}


def label(name: str) -> str:
    """As Prometheus' service discovery writes it."""
    return f"label_{re.sub(r'[^a-zA-Z0-9]', '_', name)}"


def test_alerts(stage: Stage):
    """they are those of deploy/monitoring, but for what values set; Prometheus takes them"""
    for name, values, minimum, runbooks in (
        ("usual", EVERYTHING, "vector(2)", "docs/runbooks/"),
        ("everything", VALUES["everything"], "vector(3)", "https://wiki.example.com/culvert/"),
    ):
        spec = next(thing["spec"] for thing in accepted(stage.server, values, HELMS[1]) if thing["kind"] == "PrometheusRule")
        rules = [rule for group in spec["groups"] for rule in group["rules"]]
        assert [rule["expr"] for rule in rules if rule.get("record") == "culvert:minimum_relays"] == [minimum], name
        alerts = {rule["alert"]: rule for rule in rules if "alert" in rule}
        assert set(alerts) == set(re.findall(r"- alert: (\w+)", (MONITORING / "rules.yaml").read_text()))
        for alert, rule in alerts.items():
            assert rule["annotations"]["runbook_url"] == f"{runbooks}{alert}.md"
        file = stage.folder / f"{name}.json"  # JSON is YAML too
        file.write_text(json.dumps(spec))
        done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True)
        assert done.returncode == 0 and f"{len(rules)} rules found" in done.stdout, done.stdout + done.stderr


def test_dashboards(stage: Stage):
    """a ConfigMap each, with the sidecar's label and the folder; the JSON is that of the file; links lead to one another"""
    found = config_maps(stage, EVERYTHING)
    boards = {thing["metadata"]["name"]: json.loads(text) for thing in found for text in thing["data"].values()}
    assert {board["uid"] for board in boards.values()} == DASHBOARDS
    for thing in found:
        assert thing["metadata"]["namespace"] == NAMESPACE
        assert thing["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert thing["metadata"]["annotations"] == {"grafana_folder": "Culvert"}
        for name, text in thing["data"].items():
            assert json.loads(text) == json.loads(Path(REPOSITORY, "charts/culvert/files/dashboards", name).read_text())
    linked = set(re.findall(r'/d/([\w-]+)\?', json.dumps(boards)))
    assert linked and linked <= DASHBOARDS, linked
    for thing in config_maps(stage, VALUES["everything"]):
        assert thing["metadata"]["namespace"] == "fleets-a"
        assert thing["metadata"]["labels"]["example.com/dashboard"] == "yes"
        assert thing["metadata"]["annotations"] == {"example.com/folder": "Networks"}


def config_maps(stage: Stage, values: str) -> list[dict]:
    found = [thing for thing in accepted(stage.server, values, HELMS[0]) if thing["kind"] == "ConfigMap"]
    assert len(found) == len(DASHBOARDS)
    return found
