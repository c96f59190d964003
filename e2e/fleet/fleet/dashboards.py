"""The dashboards as the chart ships them, asked as Grafana asks."""

import json
import math
import re
from dataclasses import dataclass, field

from lab.lab import REPOSITORY

from .prometheus import Labels, Prometheus

FILES = REPOSITORY / "charts" / "culvert" / "files" / "dashboards"
LEGEND = re.compile(r"\{\{(\w+)\}\}")
WINDOW = "5s"  # what Grafana makes of $__rate_interval grows with the interval of scrapes


@dataclass
class Answer:
    """What one query of one panel showed in a stretch of time."""

    dashboard: str
    panel: dict
    target: dict
    series: list[tuple[Labels, list[tuple[float, float]]]] = field(default_factory=list)

    @property
    def wanted_labels(self) -> set[str]:
        return set(LEGEND.findall(self.target["legendFormat"]))

    def name(self, labels: Labels) -> str:
        return LEGEND.sub(lambda match: labels.get(match[1], ""), self.target["legendFormat"])

    def values(self, label: str) -> set[str]:
        return {labels.get(label, "") for labels, _ in self.series}

    def __str__(self) -> str:
        return f"{self.dashboard}, {self.panel['title']}: {self.target['expr']}"


def boards() -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted(FILES.glob("*.json"))]


def filled(expr: str, variables: dict[str, str]) -> str:
    """With what stands at the top of a dashboard."""
    for name, value in ({"__rate_interval": WINDOW} | variables).items():
        expr = expr.replace(f"${name}", value)
    assert "$" not in expr, f"a variable of {expr} is unknown"
    return expr


def ask(prometheus: Prometheus, variables: dict[str, str], start: float, end: float) -> list[Answer]:
    """Every query of every panel."""
    answers = []
    for board in boards():
        for panel in (panel for panel in board["panels"] if panel["type"] != "row"):
            for target in panel["targets"]:
                found = prometheus.range(filled(target["expr"], variables), start, end)
                answers.append(Answer(board["uid"], panel, target, [
                    (labels, points) for labels, values in found
                    if (points := [(at, value) for at, value in values if math.isfinite(value)])]))
    return answers


def choices(prometheus: Prometheus, variables: dict[str, str], start: float, end: float) -> dict[tuple[str, str], set[str]]:
    """What each dashboard offers at its top: by dashboard and variable."""
    found = {}
    for board in boards():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
                series = prometheus.range(f"group by ({label}) ({filled(metric, variables)})", start, end)
                found[board["uid"], variable["name"]] = {labels.get(label, "") for labels, _ in series}
    return found
