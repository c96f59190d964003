"""Every metric of every program, read from metrics/*.prom, and the page about them. Tests of the programs write those files."""

import re
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = {
    "relay": ("The relay", "`culvert-relay` serves them at port 9108 of its pod, or at `--admin`."),
    "speaker": ("The speaker", "`culvert-speaker` serves them at port 9109 of the same pod."),
    "operator": ("The operator", "`culvert-operator` serves them at `--metrics-address`; those of fleets and domains only while it leads."),
}
# Labels whose values are a closed list in the code: the page has them all.
CLOSED = ("direction", "family", "kind", "reason", "error", "result", "state", "condition")
# Of these, the file has examples only.
OPEN = {("culvert_obstacle", "reason"), ("culvert_bgp_obstacle", "reason"), ("culvert_revision_refused", "reason")}
LINE = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass
class Metric:
    name: str
    help: str
    kind: str = ""
    labels: dict[str, list[str]] = field(default_factory=dict)

    def note(self, labels: str) -> None:
        for label, value in LABEL.findall(labels or ""):
            values = self.labels.setdefault(label, [])
            if value not in values:
                values.append(value)

    @property
    def series(self) -> list[str]:
        """The names of its series: a histogram has three."""
        return [f"{self.name}_{part}" for part in ("bucket", "sum", "count")] if self.kind == "histogram" else [self.name]


def read(program: str) -> list[Metric]:
    found: list[Metric] = []
    for line in (HERE / "metrics" / f"{program}.prom").read_text().splitlines():
        if line.startswith("# HELP "):
            _, _, name, text = line.split(" ", 3)
            found.append(Metric(name, text))
        elif line.startswith("# TYPE "):
            found[-1].kind = line.split()[3]
        else:
            found[-1].note(LINE.match(line)["labels"])
    return found


def known() -> dict[str, set[str]]:
    """The labels of every series that there is."""
    return {name: set(metric.labels) for program in PROGRAMS for metric in read(program) for name in metric.series}


def page() -> str:
    parts = [
        "# Metrics",
        "Written by `deploy/monitoring/generate` from what the programs themselves export (`deploy/monitoring/metrics`): "
        "a test of each program compares the two. What is scraped in a cluster also has the labels `namespace`, `fleet`, `pod`, `container` and `node` "
        "([deploy/monitoring](../deploy/monitoring/README.md)). Counters start at 0 with the program; a series that has counted "
        "nothing yet may not be there.",
    ]
    for program, (title, where) in PROGRAMS.items():
        rows = [f"| `{metric.name}` | {metric.kind} | {labels(metric)} | {metric.help} |" for metric in read(program)]
        table = "\n".join(["| metric | type | labels | what it is |", "|---|---|---|---|", *rows])
        parts += [f"## {title}", where, table]
    return "\n\n".join(parts) + "\n"


def labels(metric: Metric) -> str:
    return ", ".join(described(metric.name, label, values) for label, values in metric.labels.items() if label != "le")


def described(name: str, label: str, values: list[str]) -> str:
    if label not in CLOSED or (name, label) in OPEN:
        return f"`{label}`"
    if label == "reason" and name.startswith("culvert_dropped_"):
        return "`reason` ([drop reasons](../ARCHITECTURE.md#drop-reasons))"
    if label == "reason" and name in ("culvert_not_ready", "culvert_withdrawals_total"):
        return "`reason` ([reasons](../ARCHITECTURE.md#a-relay-in-a-pod))"
    return f"`{label}` ({', '.join(f'`{value}`' for value in values)})"
