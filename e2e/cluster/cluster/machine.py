"""A machine without an engine: processes, mounts and network of its own, whose first process ends it.

Its /run and /var/lib are its own, so a node's containerd and kubelet, or a router's FRR, use the paths they use anywhere,
and nothing of them is seen or left outside. When its first process ends, the kernel ends all the others and takes the mounts away.
"""

import os
import signal
import subprocess
from pathlib import Path

from lab.lab import eventually
from lab.namespaces import Namespace, command

from .programs import Programs

# $1 is the cluster's folder; then come pairs: a folder in there, and where the machine sees it. /var/lib shows the
# outside's files (a build cache may be there) and takes no changes out; what is large, or read from outside, is on the
# outside's disk.
BOOT = """
mount --bind "$1" /mnt
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/cluster /run/netns /run/lock /run/var-lib/changes /run/var-lib/work
mount --move /mnt /run/cluster
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/var-lib/changes,workdir=/run/var-lib/work var-lib /var/lib
shift
while [ $# -gt 0 ]; do
    mkdir -p "/run/cluster/$1" "$2"
    mount --bind "/run/cluster/$1" "$2"
    shift 2
done
mount --make-rshared /
exec /run/cluster/bin/pause
"""


class Machine:
    """A namespace with processes and mounts of its own."""

    def __init__(self, namespace: Namespace, folder: Path, owns: dict[str, str]):
        """`folder` is its own, in the cluster's; `owns` says what of the cluster's folder it sees where."""
        self.namespace = namespace
        self.folder = folder
        self.owns = owns
        self.programs = Programs(namespace, folder, self.argv)

    @property
    def name(self) -> str:
        return self.namespace.node

    def boot(self) -> None:
        """Starts it: for the first time, or again after its death."""
        self.folder.mkdir(exist_ok=True)
        outside = ["nsenter", f"--net=/run/netns/{self.namespace.name}"]
        inside = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]
        pairs = [word for pair in self.owns.items() for word in pair]
        script = ["sh", "-ec", BOOT, "boot", str(self.folder.parent), *pairs]
        with open(self.folder / "boot.log", "w") as log:
            process = subprocess.Popen(
                [*outside, *inside, *script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        booted = eventually(lambda: process.poll() is not None or self.is_up(), 20)
        assert booted and process.poll() is None, f"{self.name} does not boot: {(self.folder / 'boot.log').read_text()}"

    def kill(self) -> None:
        """Its power is cut: no process of it lives on, what was in memory is gone, what is on its disk stays."""
        first = self.first_process()
        assert first is not None, f"{self.name} is not up"
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: not Path(f"/proc/{first}/ns/net").exists(), 20), f"{self.name} lives on"

    def is_up(self) -> bool:
        first = self.first_process()
        return first is not None and Path(f"/proc/{first}/comm").read_text().strip() == "pause"

    def first_process(self) -> int | None:
        """The pid, seen from outside, of the machine's process 1."""
        pids = command("ip", "netns", "pids", self.namespace.name).split()
        return next((int(pid) for pid in pids if is_first(pid)), None)

    def argv(self, *argv: str) -> list[str]:
        """The command line that runs `argv` in this machine."""
        first = self.first_process()
        assert first is not None, f"{self.name} is not up"
        return ["nsenter", "--target", str(first), "--mount", "--pid", "--net", "--wdns=/", *argv]

    def run(self, *argv: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Runs a program that must work in this machine; returns what it printed."""
        return command(*self.argv(*argv), stdin=stdin, timeout=timeout)

    def succeeds(self, *argv: str) -> bool:
        return subprocess.run(self.argv(*argv), capture_output=True).returncode == 0

    def feed(self, file: Path, *argv: str) -> None:
        """Runs a program that reads a file of the outside from its standard input."""
        with open(file, "rb") as content:
            done = subprocess.run(self.argv(*argv), stdin=content, capture_output=True, text=True)
        assert done.returncode == 0, f"{self.name}: `{' '.join(argv)}` with {file}: {done.stderr.strip()}"


def is_first(pid: str) -> bool:
    """Whether a process is the first of a process namespace one level below ours."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    seen = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(seen) == 2 and seen[1] == "1"
