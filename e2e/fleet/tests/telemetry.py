"""Traces and metrics of a whole fleet, by OTLP, at a real collector."""

import contextlib
import json
import time

from fleet import manifests
from fleet.collector import ENDPOINT, Collector, Series, Span
from fleet.manifests import DOMAIN, FLEET, HALVES, small_rule
from fleet.pages import page
from fleet.scene import Scene
from lab.lab import eventually
from lab.relay import LABEL, SERIES

OPERATOR, RELAY, SPEAKER = "culvert-operator", "culvert-relay", "culvert-speaker"
INTERVAL = 1000  # milliseconds from push to push
COMPLAINT = "do not reach the collector"


def test_one_trace_and_one_set_of_metrics(scene: Scene):
    """a change is one trace, over operator, relays and speakers; all programs push what they are scraped for; a collector that is gone
    costs a line in the log"""
    with Collector(scene.cluster, scene.folder) as collector, sending(scene):
        relays = scene.start_fleet(2, bgp=manifests.bgp())
        change(scene, small_rule(1))
        pods = {relay.name for relay in relays}
        check_trace(scene, collector, pods)
        check_metrics(scene, collector)
        collector.stop()
        stopped = time.monotonic()
        change(scene, small_rule(1), small_rule(2))
        check_complaints(scene, pods, stopped)


@contextlib.contextmanager
def sending(scene: Scene):
    """Culvert sends all it has to the collector, as anybody would set it."""
    quick = {"name": "OTEL_METRIC_EXPORT_INTERVAL", "value": str(INTERVAL)}
    scene.culvert.upgrade(values={"otlp": {"endpoint": ENDPOINT}, "extraEnv": [quick]})
    try:
        yield
    finally:
        scene.culvert.upgrade()


def change(scene: Scene, *more: dict) -> None:
    scene.apply(manifests.domain(scene.name, rules=[*HALVES, *more]))
    scene.expect("MapDomain", DOMAIN, Programmed=True)


def check_trace(scene: Scene, collector: Collector, pods: set[str]) -> None:
    revision = scene.api.get(f"/api/v1/namespaces/{scene.name}/configmaps/{FLEET}-revision")
    index = json.loads(revision["data"]["index.json"])
    _, trace, parent, _ = index["traceparent"].split("-")

    def find(service: str, name: str) -> list[Span]:
        return [span for span in collector.spans(trace) if (span.service, span.name) == (service, name)]

    programming = ((RELAY, "program revision"), (SPEAKER, "configure BIRD"), (SPEAKER, "announce"))

    def complete() -> bool:
        time.sleep(0.2)
        return len(find(OPERATOR, "reconcile")) == 1 and all({span.pod for span in find(*one)} == pods for one in programming)

    assert eventually(complete, 30), f"trace {trace} of {pods}: {collector.spans(trace)}"
    (reconcile,) = find(OPERATOR, "reconcile")
    assert (reconcile.id, reconcile.attributes["kind"]) == (parent, "BorderRelay"), reconcile
    for one in programming:
        for span in find(*one):
            assert (span.parent, span.failed) == (parent, False), span
            assert span.attributes["sequence"] == str(index["sequence"]) and span.attributes["hash"] == index["hash"], span
            container = {RELAY: "relay", SPEAKER: "speaker"}[span.service]
            assert {"k8s.namespace.name": scene.name, "k8s.container.name": container, "culvert.fleet": FLEET}.items() <= span.resource.items()
    programmed = find(RELAY, "program revision")[0]
    assert (programmed.attributes["domains"], programmed.attributes["rules"]) == ("1", str(len(HALVES) + 1)), programmed
    steps = {span.name for span in collector.spans(trace) if span.parent == programmed.id}
    assert {"compile", "apply", "keep"} <= steps, steps
    services = sorted({(span.service, span.pod) for span in collector.spans(trace)})
    scene.say(f"trace {trace}: {len(collector.spans(trace))} spans of {', '.join(' '.join(one) for one in services)}")


def check_metrics(scene: Scene, collector: Collector) -> None:
    operators = [(OPERATOR, pod) for pod in scene.culvert.operators()]
    all_programs = operators + [(service, pod) for pod in scene.relay_objects() for service in (RELAY, SPEAKER)]
    for service, pod in all_programs:
        name = pod["metadata"]["name"]

        def same(service=service, pod=pod, name=name) -> bool:
            time.sleep(0.2)
            return set(collector.series(service, name)) == scraped(scene, pod, service)

        there = eventually(same, 30)
        difference = set(collector.series(service, name)) ^ scraped(scene, pod, service)
        assert there, f"{service} {name}: {sorted((metric, sorted(labels)) for metric, labels in difference)}"
    pushed = sum(len(collector.series(service, pod["metadata"]["name"])) for service, pod in all_programs)
    scene.say(f"{len(all_programs)} programs push {pushed} series, those that they are scraped for")
    rules = {collector.series(RELAY, pod["metadata"]["name"])["culvert_rules", frozenset()] for pod in scene.relay_objects()}
    assert rules == {len(HALVES) + 1}, rules


def scraped(scene: Scene, pod: dict, service: str) -> set[Series]:
    """The name and labels of each series; a histogram is one, by the name of the whole."""
    text = page(scene.fabric.control, pod["status"]["podIP"], service.removeprefix("culvert-"))
    histograms = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ") and line.endswith(" histogram")}
    found = set()
    for match in filter(None, map(SERIES.fullmatch, text.splitlines())):
        whole, _, part = match[1].rpartition("_")
        if whole in histograms and part in ("bucket", "sum", "count"):
            if part == "count":
                found.add((whole, frozenset(LABEL.findall(match[2] or ""))))
        else:
            found.add((match[1], frozenset(LABEL.findall(match[2] or ""))))
    return found


def check_complaints(scene: Scene, pods: set[str], stopped: float) -> None:
    """Of traces and of metrics, once a minute each."""
    for pod in pods:
        for container in ("relay", "speaker"):
            def complaints(pod=pod, container=container) -> list[str]:
                time.sleep(0.2)
                return [line for line in scene.kubectl("logs", pod, "--container", container).splitlines() if COMPLAINT in line]

            assert eventually(lambda: any("metrics do not" in line for line in complaints()), 30), f"{pod} {container} says nothing"
            told = complaints()
            assert len(told) <= 2 * (1 + (time.monotonic() - stopped) // 60), f"{pod} {container} says it too often: {told}"
