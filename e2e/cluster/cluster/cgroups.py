"""Control groups of both kinds: one tree, or one for each controller (version 1)."""

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
INHERITED = ("cpuset.cpus", "cpuset.mems")  # empty in new groups of version 1, where nothing runs before they are set


def trees() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [path for path in ROOT.iterdir() if path.is_dir() and not path.is_symlink()]


def create(name: str) -> None:
    for tree in trees():
        (tree / name).mkdir(exist_ok=True)
        for file in INHERITED:
            if (tree / file).exists() and tree != ROOT:
                (tree / name / file).write_text((tree / file).read_text())


def remove(name: str) -> None:
    """Removes a group and those in it, deepest first. No process may be left in them."""
    for tree in trees():
        for folder, _, _ in os.walk(tree / name, topdown=False):
            os.rmdir(folder)


def existing(prefix: str) -> list[Path]:
    return [path for tree in trees() for path in tree.glob(f"{prefix}*")]
