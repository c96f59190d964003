"""What is slow to make is made once per version, outside the checkout, by one process at a time."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Callable

CACHE = Path(os.environ.get("CULVERT_CACHE") or Path.home() / ".cache" / "culvert") / "cluster"


def key_of(*parts: str | bytes | Path) -> str:
    """A short name for exactly these words and files' contents; of a folder, every file in it."""
    digest = hashlib.sha256()
    for part in parts:
        for content in contents(part):
            digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:16]


def contents(part: str | bytes | Path) -> list[bytes]:
    if isinstance(part, Path):
        files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
        return [content for path in files for content in (path.name.encode(), path.read_bytes())]
    return [part.encode() if isinstance(part, str) else part]


def cached(place: Path, make: Callable[[Path], None], say: Callable[[str], None]) -> Path:
    """The folder `place`: `make` fills it if nobody has. It is there whole, or not at all."""
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with only_one(say):
        if not place.exists():
            unfinished = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
            try:
                make(unfinished)
                unfinished.chmod(0o755)
                unfinished.rename(place)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return place


@contextlib.contextmanager
def only_one(say: Callable[[str], None]):
    """No other process makes anything for the cache meanwhile."""
    with open(CACHE / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is at work: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
