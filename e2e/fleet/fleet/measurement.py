"""A measurement: one stage like a test's, on a cluster of its own or on the one that $CULVERT_CLUSTER names."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Callable

from lab.lab import Missing
from lab.namespaces import CommandFailed
from lab.runner import tidy_up, workspace

from .installation import target
from .scene import Scene
from .suite import FleetSuite


def measured(name: str, measure: Callable[[Scene], int]) -> int:
    """The exit code: that of `measure`, 2 for what went wrong, 130 for who interrupted it."""
    suite = FleetSuite()
    try:
        suite.check_machine()
        tidy_up(suite)
        with workspace() as folder, suite.run(folder):
            return staged(suite, folder / name, measure)
    except (Missing, CommandFailed, AssertionError) as failed:
        print(f"{name}: {failed}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted; everything it made is gone", file=sys.stderr)
        return 130


def staged(suite: FleetSuite, stage: Path, measure: Callable[[Scene], int]) -> int:
    stage.mkdir()
    with suite.stage(stage) as scene:
        try:
            result = measure(scene)
        except Exception:
            suite.keep_evidence(scene, stage)
            print(f"evidence: {stage}", file=sys.stderr)
            raise
    shutil.rmtree(stage)
    return result


def keep(name: str, figures: Any) -> None:
    """What was measured, as data: target/NAME.json."""
    (target() / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
