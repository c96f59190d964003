"""Long-running programs that outlive the process which started them: each has a log and a file with its pid."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable

from lab.lab import eventually
from lab.namespaces import NETNS, Namespace

PATIENCE = 30  # seconds until a program that was asked to end is killed


class Programs:
    """The programs of one namespace. `enter` makes the command line that runs another inside."""

    def __init__(self, namespace: Namespace, folder: Path, enter: Callable[..., list[str]]):
        self.namespace = namespace
        self.folder = folder
        self.enter = enter
        self.children: dict[str, subprocess.Popen] = {}

    def start(self, name: str, *argv: str) -> None:
        assert not self.is_running(name), f"{name} runs already"
        with open(self.log_file(name), "a") as log:
            # A session of its own: what it starts ends with it, and our terminal's Ctrl-C is not its.
            process = subprocess.Popen(
                self.enter(*argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=clean_environment(),
            )
        self.children[name] = process
        self.pid_file(name).write_text(f"{process.pid}\n")

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends a program and waits for its end; `how` may be SIGKILL."""
        self.signal(name, how)
        if not eventually(lambda: not self.is_running(name), PATIENCE):
            self.signal(name, signal.SIGKILL)
            assert eventually(lambda: not self.is_running(name), PATIENCE), f"{name} cannot be killed"

    def signal(self, name: str, number: signal.Signals) -> None:
        if pid := self.pid(name):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def is_running(self, name: str) -> bool:
        return self.pid(name) is not None

    def pid(self, name: str) -> int | None:
        """The program's process group, if it runs. A pid that went to somebody else since is not in our namespace."""
        if (child := self.children.get(name)) and child.poll() is None:  # which also reaps it
            return child.pid  # it may not have entered the namespace yet
        try:
            pid = int(self.pid_file(name).read_text())
            inside = os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat(NETNS / self.namespace.name).st_ino
        except (FileNotFoundError, ProcessLookupError):
            return None
        return pid if inside else None

    def log(self, name: str) -> str:
        return self.log_file(name).read_text(errors="replace")

    def wait_until(self, name: str, ready: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Waits until `ready`; fails at once if the program ends before."""
        deadline = time.monotonic() + seconds
        while not ready():
            last = "\n".join(self.log(name).splitlines()[-10:])
            assert self.is_running(name), f"{name} ended before {what}:\n{last}"
            assert time.monotonic() < deadline, f"{name}: waited in vain until {what}:\n{last}"
            time.sleep(0.1)

    def log_file(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def pid_file(self, name: str) -> Path:
        return self.folder / f"{name}.pid"


def clean_environment() -> dict[str, str]:
    """What a program started by hand and one started by a build have in common."""
    kept = ("HOME", "PATH", "LANG")
    return {key: os.environ[key] for key in kept if key in os.environ}
