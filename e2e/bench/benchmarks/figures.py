"""Figures, the goals beside them, and the table of both."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured number. `bound` is the goal that it is held against, if it has one."""

    name: str
    value: float
    unit: str
    bound: float | None = None
    better: str = "lower"

    def holds(self) -> bool | None:
        if self.bound is None:
            return None
        return self.value <= self.bound if self.better == "lower" else self.value >= self.bound


def table(figures: list[Figure]) -> str:
    """As Markdown."""
    sign = {"lower": "≤", "higher": "≥"}
    rows = [("what", "measured", "goal", "")]
    for figure in figures:
        goal = f"{sign[figure.better]} {number(figure.bound)}" if figure.bound is not None else ""
        verdict = {True: "yes", False: "**missed**", None: ""}[figure.holds()]
        rows.append((figure.name, f"{number(figure.value)} {figure.unit}", goal, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def number(value: float) -> str:
    """Whole numbers as they are, others with as many digits as mean something."""
    if value == int(value):
        return str(int(value))
    return f"{value:.3f}".rstrip("0") if value < 10 else f"{value:.1f}"


def write(figures: list[Figure], target: Path) -> str:
    """Writes both files into `target`; returns the table."""
    text = table(figures)
    (target / "bench.md").write_text(text + "\n")
    (target / "bench.json").write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    return text


def progress(text: str) -> None:
    """Says what is going on, apart from the table."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
