"""Network namespaces of one run: made under names nobody else has, and gone after it, however it ends.

Names are `culvert-RUN-NODE`, RUN being the process id, or a cluster's name (e2e/cluster). A run holds a lock on
/run/culvert-lab/RUN while it lives, so the next run knows what a killed one has left behind.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

LOCKS = Path("/run/culvert-lab")
NETNS = Path("/run/netns")
FOLDER = "culvert-lab-"
UNHELD = ".new"
CLONE_NEWNET = 0x40000000
NAME = re.compile(r"culvert-(\w+)-\w+")
libc = ctypes.CDLL(None, use_errno=True)


class CommandFailed(Exception):
    """A command that must work did not."""


def command(*argv: str, stdin: str | None = None, timeout: float = 60, folder: Path | None = None) -> str:
    """Runs a command that must work; returns what it printed."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, cwd=folder)
    if done.returncode != 0:
        said = (done.stderr + done.stdout).strip()
        raise CommandFailed(f"`{' '.join(argv)}` ended with {done.returncode}: {said}")
    return done.stdout


class Namespace:
    """One node of the lab."""

    def __init__(self, run: int | str, node: str):
        self.node = node
        self.name = f"culvert-{run}-{node}"

    @classmethod
    def create(cls, run: int | str, node: str) -> "Namespace":
        """A new one, with settings that do not depend on the distribution."""
        made = cls(run, node)
        command("ip", "netns", "add", made.name)
        made.ip("link set lo up")
        for scope in ("all", "default"):
            made.sysctl(**{
                f"ipv6__conf__{scope}__accept_dad": 0,  # addresses work at once
                f"ipv6__conf__{scope}__accept_ra": 0,
                f"ipv4__conf__{scope}__rp_filter": 0,  # some distributions start with another
            })
        return made

    @property
    def path(self) -> Path:
        """What to open to enter it."""
        return NETNS / self.name

    def ip(self, *lines: str) -> None:
        """Runs `ip` commands here, all in one process."""
        command("ip", "-n", self.name, "-batch", "-", stdin="\n".join(lines) + "\n")

    def show(self, *words: str) -> str:
        """What `ip WORDS` prints here."""
        return command("ip", "-n", self.name, *words)

    def argv(self, *argv: str) -> list[str]:
        """The command line that runs `argv` here. `ip` becomes the program itself, so the pid is the program's."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv: str, timeout: float = 60) -> str:
        """Runs a program that must work here; returns what it printed."""
        return command(*self.argv(*argv), timeout=timeout)

    def try_run(self, *argv: str, timeout: float = 60) -> subprocess.CompletedProcess:
        """Runs a program here that may fail."""
        return subprocess.run(self.argv(*argv), capture_output=True, text=True, timeout=timeout)

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in this namespace meanwhile; sockets opened here stay here."""
        with open("/proc/thread-self/ns/net") as home, open(self.path) as there:
            set_namespace(there.fileno())
            try:
                yield
            finally:
                set_namespace(home.fileno())

    def socket(self, *kind) -> socket.socket:
        with self.entered():
            return socket.socket(*kind)

    def sysctl(self, **values: int) -> None:
        """Sets sysctls under net; `/` is written as `__`: ipv4__ip_forward=1."""
        with self.entered():
            for key, value in values.items():
                Path("/proc/sys/net", *key.split("__")).write_text(f"{value}\n")

    def read_sysctl(self, key: str) -> int:
        with self.entered():
            return int(Path("/proc/sys/net", *key.split("__")).read_text())


def set_namespace(fd: int) -> None:
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns failed")


def namespaces() -> list[tuple[str, str]]:
    """Every namespace of every lab and cluster on this machine: its name, and its run."""
    names = os.listdir(NETNS) if NETNS.exists() else []
    return [(name, match[1]) for name in names if (match := NAME.fullmatch(name))]


def remove_namespaces(run: str) -> list[int]:
    """Ends what still runs in a run's namespaces, and removes them; returns the processes it ended."""
    ended = []
    for name in (name for name, owner in namespaces() if owner == run):
        for pid in command("ip", "netns", "pids", name).split():
            ended.append(int(pid))
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        command("ip", "netns", "del", name)
    return ended


def lock_run(run: int, folder: Path):
    """Marks this run as alive until the returned file is closed, or the process ends in whatever way. The file says
    where the run keeps its files."""
    LOCKS.mkdir(exist_ok=True)
    fresh = LOCKS / f"{run}{UNHELD}"  # others look at any time: under its own name it is held
    lock = open(fresh, "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.write(f"{folder}\n")
    lock.flush()
    fresh.rename(LOCKS / str(run))
    return lock


def unlock_run(lock) -> None:
    Path(lock.name.removesuffix(UNHELD)).unlink(missing_ok=True)
    lock.close()


def is_alive(run: str) -> bool:
    """Whether the run of that number still holds its lock."""
    try:
        with open(LOCKS / run) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def remove_leftovers() -> int:
    """Removes the namespaces and files of runs that were killed; returns how many runs that were."""
    locks = os.listdir(LOCKS) if LOCKS.exists() else []
    runs = {run for run in [run for _, run in namespaces()] + locks if run.isdigit()}
    dead = {run for run in runs if not is_alive(run)}
    for run in dead:
        remove_namespaces(run)
    for lock in (LOCKS / run for run in dead if (LOCKS / run).exists()):
        folder = Path(lock.read_text().strip())
        if folder.name.startswith(FOLDER):
            shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
    return len(dead)
