"""What has to be there before anything is measured."""

import os
import subprocess
from pathlib import Path

from .figures import progress

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
RELEASE = TARGET / "release"

RELAY = RELEASE / "culvert-relay"
HELPER = RELEASE / "culvert-bench"
PACKETS = RELEASE / "examples" / "packets"


def prepare(parts: list[str]) -> None:
    """Installs tools that are missing, and builds what the parts need."""
    subprocess.run([ROOT / "scripts" / "install-tools"], check=True)
    if "engine" in parts:
        cargo("--package", "engine", "--example", "packets")
    if set(parts) & {"copy", "tayga"}:
        cargo("--package", "bench", "--package", "culvert-relay")


def cargo(*what: str) -> None:
    progress(f"building {' '.join(what[1::2])}")
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", *what], cwd=ROOT, check=True)
