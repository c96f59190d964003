"""The alerts of rules.yaml, which are all written in the same form, and the list of their runbooks."""

import re
from dataclasses import dataclass
from pathlib import Path

RULES = Path(__file__).resolve().parent / "rules.yaml"
FORM = re.compile(
    r"""^  - alert: (?P<name>\w+)
    expr: (?P<expr>.*(?:\n      .*)*)
(?:    for: (?P<time>\w+)\n)?    labels: \{severity: (?P<severity>critical|warning)\}
    annotations:
      summary: (?P<summary>.*)
      description: (?P<description>.*)
      runbook_url: docs/runbooks/(?P<page>\w+).md$""", re.MULTILINE)


@dataclass(frozen=True)
class Alert:
    name: str
    expr: str
    time: str | None  # for which it has to be so
    severity: str
    summary: str
    description: str
    page: str


def read() -> list[Alert]:
    text = RULES.read_text()
    found = [Alert(**match.groupdict()) for match in FORM.finditer(text)]
    if len(found) != text.count("- alert:"):
        raise ValueError(f"{RULES}: an alert is written in another form than the others")
    return found


def page() -> str:
    rows = [f"| [{alert.name}]({alert.name}.md) | {alert.severity} | {in_general(alert.description)} |" for alert in read()]
    return "\n".join([
        "# Runbooks", "",
        "A page for each alert of [deploy/monitoring/rules.yaml](../../deploy/monitoring/rules.yaml): what it means, what to look at, "
        "what to do. `critical` is a page, `warning` is not. The list is written by `deploy/monitoring/generate`.", "",
        "| alert | severity | what it says |", "|---|---|---|", *rows, "",
    ])


def in_general(description: str) -> str:
    """Without the figure that Prometheus puts in when it fires."""
    return re.sub(r"\{\{.*?\}\}", "N", description.strip('"'))
