"""What a program in a container may do, as somebody finds it who has taken the program over.

Attempts run by `kubectl exec`: so the kernel confines them as it does the container's own program, and `check_alike` compares
the two. Images have neither a shell nor tools: the program that attempts is mounted over a file that all of them have, in that
container alone. `unconfined` is the control: the same acts by the same program in the same namespaces, by root.
"""

import contextlib
import os
from pathlib import Path

from cluster.binaries import say
from cluster.cache import CACHE, cached, key_of
from cluster.cluster import Cluster
from lab.namespaces import command

from .api import Api
from .disk import DETACH, check, inside, libc
from .relays import PodNetwork, processes

SOURCE = Path(__file__).resolve().parent.parent / "attempts" / "attempt.c"
PLACE = "/sbom.spdx.json"
TOKEN = "var/run/secrets/kubernetes.io/serviceaccount/token"
OPEN_TREE, MOVE_MOUNT = 428, 429  # system calls, the same on all architectures
HERE, CLONE, EMPTY_PATH = -100, 1, 4  # AT_FDCWD, OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH

# Of /proc/PID/status: who a process is, and what it may do.
CONFINES = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters")
NAMESPACES = ("mnt", "pid", "net", "ipc", "uts")
CAPABILITIES = {10: "NET_BIND_SERVICE", 12: "NET_ADMIN", 13: "NET_RAW"}


class Container:
    """A running container that has the attempting program; `close` takes it away again."""

    def __init__(self, cluster: Cluster, pod: dict, name: str):
        self.cluster, self.name = cluster, name
        self.pod, self.namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        started = [*pod["status"].get("initContainerStatuses", []), *pod["status"].get("containerStatuses", [])]
        found = next(one for one in started if one["name"] == name)
        self.pid = processes(found["containerID"].rpartition("/")[2])[0]
        self.root = Path(f"/proc/{self.pid}/root")

    def __enter__(self) -> "Container":
        tree = check(libc.syscall(OPEN_TREE, HERE, str(program()).encode(), CLONE), "open_tree")
        try:
            inside(self.pid, lambda: check(
                libc.syscall(MOVE_MOUNT, tree, b"", HERE, PLACE.encode(), EMPTY_PATH), "move_mount"))
        finally:
            os.close(tree)
        return self

    def __exit__(self, *error) -> None:
        with contextlib.suppress(FileNotFoundError):  # the container has ended
            inside(self.pid, lambda: check(libc.umount2(PLACE.encode(), DETACH), "umount"))

    def attempts(self, *acts: str) -> dict[str, str]:
        """What became of each act: `OK`, or the errno's name."""
        words = ("exec", self.pod, "--container", self.name, "--", PLACE, *acts)
        return results(self.cluster.kubectl("--namespace", self.namespace, *words), acts)

    def unconfined(self, *acts: str, processes: bool = True) -> dict[str, str]:
        """The same by root, whom nothing confines; with `processes=False` he sees those of the whole machine."""
        spaces = ["--mount", "--net", "--ipc", "--uts", *(["--pid"] if processes else [])]
        return results(command("nsenter", f"--target={self.pid}", *spaces, PLACE, *acts), acts)

    def check_alike(self) -> None:
        """Who attempts is confined as the container's own program is."""
        said = self.cluster.kubectl(
            "--namespace", self.namespace, "exec", self.pod, "--container", self.name, "--", PLACE, "status")
        lines = [line.removeprefix("| ") for line in said.splitlines() if line.startswith("| ")]
        attempting, own = confines(lines), self.status()
        assert attempting == own, f"{self}: {attempting} attempts, the program is {own}"

    def status(self) -> dict[str, str]:
        return confines(Path(f"/proc/{self.pid}/status").read_text().splitlines())

    def capabilities(self) -> set[str]:
        """All that its program has or could ever get."""
        bits = int(self.status()["CapBnd"], 16)
        return {CAPABILITIES.get(bit, str(bit)) for bit in range(64) if bits >> bit & 1}

    def api(self) -> Api:
        """The API server, asked by the token that is in the container, from the pod's network."""
        token = (self.root / TOKEN).read_text()
        return Api(self.cluster, PodNetwork(self.pod, self.pid), token)

    def spaces(self) -> dict[str, str]:
        return {space: os.readlink(f"/proc/{self.pid}/ns/{space}") for space in NAMESPACES}

    def devices(self) -> set[str]:
        """Every device file that it sees."""
        return {str(path.relative_to(self.root / "dev")) for path in (self.root / "dev").rglob("*")
                if (path.is_char_device() or path.is_block_device()) and not path.is_symlink()}

    def mounts(self) -> dict[str, str]:
        """What is mounted where, but for what the runtime mounts over parts of /proc and /sys: `ro` or `rw`."""
        found = {}
        for line in Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines():
            place, options = line.split()[4:6]
            if place != PLACE and not place.startswith(("/proc/", "/sys/")):
                found[place] = options.split(",")[0]
        return found

    def files_with(self, content: bytes) -> list[str]:
        """The files in which it is, of all that the container has, whoever may read them."""
        skipped = {self.root / part for part in ("proc", "sys", "dev")}
        found = []
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if Path(folder, name) not in skipped]
            for path in (Path(folder, name) for name in files):
                with contextlib.suppress(FileNotFoundError):  # a program writes anew what it keeps
                    if path.is_file() and content in path.read_bytes():
                        found.append("/" + str(path.relative_to(self.root)))
        return found

    def __str__(self) -> str:
        return f"{self.pod}'s {self.name}"


def program() -> Path:
    def make(folder: Path) -> None:
        command("gcc", "-Os", "-static", "-Wall", "-Wextra", "-Werror", "-o", str(folder / "attempt"), str(SOURCE))

    return cached(CACHE / "bin" / f"attempt-{key_of(SOURCE)}", make, say) / "attempt"


def results(said: str, acts: tuple[str, ...]) -> dict[str, str]:
    found = dict(line.rsplit(" ", 1) for line in said.splitlines())
    assert list(found) == list(acts) and "unknown" not in found.values(), f"{acts}: {said}"
    return found


def confines(lines: list[str]) -> dict[str, str]:
    fields = dict(line.split(":", 1) for line in lines)
    return {name: " ".join(fields[name].split()) for name in CONFINES if name in fields}
