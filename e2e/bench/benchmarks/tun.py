"""TUN daemons from outside: a burst into a stopped daemon's queue, and how long it takes for all of it.

Every subject runs in one namespace with a TUN of its own, on CPU 1; whoever waits for the packets does so on CPU 0.
Both run in real time, so that other work on the machine does not get between. Subjects take turns, and each is worth
its best run: whatever disturbs it only ever makes it slower.
"""

import contextlib
import functools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lab.namespaces import FOLDER, Namespace, lock_run, remove_leftovers, remove_namespaces, unlock_run

from . import build
from .figures import Figure, progress

# Enough that waking up and the last look at the counter are small beside it.
PACKETS = 20_000
WAIT_CPU, WORK_CPU = 0, 1

# Other work on the machine: how much counts as busy, and how long a part waits for quiet in all.
BUSY = 0.1
PATIENCE_SECONDS = 20

MANIFEST = {
    "apiVersion": "culvert.dev/v1alpha1",
    "kind": "MapDomain",
    "metadata": {"name": "bench", "namespace": "default"},
    "spec": {
        "softwireAddress": "2001:db8:ffff::1",
        "version": "RFC7597",
        "rules": [
            {
                "name": "r1",
                "ipv4Prefix": "10.0.0.0/12",
                "mapePrefix": "2001:db8::/36",
                "eaBitsLength": 28,
                "psidOffset": 6,
                "psidLength": 8,
            }
        ],
    },
}

TAYGA = """\
tun-device tayga0
ipv4-addr 192.0.0.1
prefix 2001:db8:64:1::/96
map 10.0.0.5 2001:db8:64:2::5
"""


def against_copy_loop(runs: int) -> Iterator[Figure]:
    """What is written to the TUN is dropped right behind it, so that only TUN and daemon are timed."""
    with box() as (node, folder), relay(node, folder) as relay_pid, copy_loop(node) as copy_pid:
        drop_behind(node, "culvert0", "copy0")
        subjects = {
            (name, kind): (pid, tun, f"{tun}/statistics/rx_packets", kind)
            for kind in ("to-ce", "from-ce")
            for name, pid, tun in (("relay", relay_pid, "culvert0"), ("copy", copy_pid, "copy0"))
        }
        best = take_turns(node, subjects, runs)
    for kind, name in (("to-ce", "to CE"), ("from-ce", "from CE")):
        relay_time, copy_time = best["relay", kind], best["copy", kind]
        yield Figure(f"TUN, {name}, against the empty copy loop", relay_time / copy_time, "times", 1.05)
        yield Figure(f"TUN, {name}", relay_time, "ns/packet")
        yield Figure(f"empty copy loop, the same packets ({name})", copy_time, "ns/packet")


def against_tayga(runs: int) -> Iterator[Figure]:
    """The kernel forwards what comes out to a neighbour, as it would on a real box."""
    with box() as (node, folder), relay(node, folder) as relay_pid, tayga(node, folder) as tayga_pid:
        add_neighbour(node)
        out = "out0/statistics/tx_packets"
        subjects = {
            "relay": (relay_pid, "culvert0", out, "to-ce"),
            "tayga": (tayga_pid, "tayga0", out, "siit"),
        }
        best = take_turns(node, subjects, runs)
    yield Figure("whole relay, to CE, against tayga", best["relay"] / best["tayga"], "times", 0.65)
    yield Figure("whole relay, to CE, forwarded by the kernel", best["relay"], "ns/packet")
    yield Figure("tayga, IPv4 to IPv6, forwarded by the kernel", best["tayga"], "ns/packet")


def take_turns(node: Namespace, subjects: dict, runs: int) -> dict:
    """The best time of each subject: one warming up, then as many runs as asked for."""
    times = {key: [] for key in subjects}
    patience = Patience()
    for run in range(runs + 1):
        progress(f"run {run} of {runs}" if run else "warming up")
        for key, (pid, tun, counter, kind) in subjects.items():
            patience.wait()
            counter_file = f"/sys/class/net/{counter}"
            argv = [*real_time(), build.HELPER, "burst", pid, tun, counter_file, PACKETS, kind, WAIT_CPU]
            nanoseconds = float(node.run(*map(str, argv)))
            if run:
                times[key].append(nanoseconds)
    if patience.busy:
        progress(f"other work kept the machine busy before {patience.busy} of {(runs + 1) * len(subjects)} bursts")
    return {key: min(values) for key, values in times.items()}


@functools.cache
def real_time() -> list[str]:
    """What runs a program before all others; nothing where that is not allowed."""
    prefix = ["chrt", "--fifo", "1"]
    allowed = subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    if not allowed:
        progress("no real-time scheduling here: other work on the machine will show in the times")
    return prefix if allowed else []


class Patience:
    """Waits for idle CPUs, but not for ever."""

    def __init__(self):
        self.left = PATIENCE_SECONDS
        self.busy = 0

    def wait(self) -> None:
        start = time.monotonic()
        while not is_quiet():
            if time.monotonic() - start >= self.left:
                self.busy += 1
                break
        self.left = max(0, self.left - (time.monotonic() - start))


def is_quiet() -> bool:
    before = cpu_times()
    time.sleep(0.05)
    idle, total = (after - earlier for after, earlier in zip(cpu_times(), before))
    return total > 0 and 1 - idle / total < BUSY


def cpu_times() -> tuple[int, int]:
    """Idle and all ticks of all CPUs since the start."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


@contextlib.contextmanager
def box() -> Iterator[tuple[Namespace, Path]]:
    """A box that forwards, and a folder; everything that was made in the meantime goes with them."""
    remove_leftovers()
    run = os.getpid()
    with tempfile.TemporaryDirectory(prefix=FOLDER) as folder:
        lock = lock_run(run, Path(folder))
        try:
            node = Namespace.create(run, "box")
            node.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__default__rp_filter=0)
            node.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
            yield node, Path(folder)
        finally:
            remove_namespaces(str(run))
            unlock_run(lock)


def add_neighbour(node: Namespace) -> None:
    """Somebody beyond `out0` who takes all IPv6 and says nothing."""
    other = Namespace.create(os.getpid(), "far")
    node.ip(f"link add out0 type veth peer name in0 netns {other.name}", "link set out0 up")
    other.ip("link set in0 up")
    address = json.loads(other.show("-json", "link", "show", "in0"))[0]["address"]
    node.ip(
        "address add 2001:db8:ffff:100::1/64 dev out0 nodad",
        f"neighbour replace 2001:db8:ffff:100::2 lladdr {address} dev out0 nud permanent",
        "route add 2001:db8::/36 via 2001:db8:ffff:100::2 dev out0",
    )
    drop_behind(other, "in0")


def drop_behind(node: Namespace, *devices: str) -> None:
    """Drops whatever comes in by these devices, before anything is done with it."""
    hook = f"type filter hook ingress devices = {{ {', '.join(devices)} }} priority 0; policy drop;"
    node.run("nft", f"table netdev bench {{ chain drops {{ {hook} }}; }}")


@contextlib.contextmanager
def relay(node: Namespace, folder: Path) -> Iterator[int]:
    manifest = folder / "bench.yaml"
    manifest.write_text(json.dumps(MANIFEST))
    argv = [build.RELAY, "run", "--config", manifest, "--queues", 1, "--log-level", "warn"]
    with daemon(node, "culvert0", *argv) as pid:
        yield pid


@contextlib.contextmanager
def copy_loop(node: Namespace) -> Iterator[int]:
    with daemon(node, "copy0", build.HELPER, "copy", "copy0") as pid:
        node.ip("link set copy0 up mtu 65535")
        yield pid


@contextlib.contextmanager
def tayga(node: Namespace, folder: Path) -> Iterator[int]:
    config = folder / "tayga.conf"
    config.write_text(TAYGA)
    node.run("tayga", "--config", str(config), "--mktun")
    node.ip("link set tayga0 up")
    with daemon(node, "tayga0", "tayga", "--config", config, "--nodetach") as pid:
        yield pid


@contextlib.contextmanager
def daemon(node: Namespace, tun: str, *argv) -> Iterator[int]:
    """A process on the CPU for work; its TUN is there, and its queue takes a burst, when this yields its pid."""
    argv = [*real_time(), "taskset", "--cpu-list", WORK_CPU, *argv]
    process = subprocess.Popen(node.argv(*map(str, argv)), stdout=subprocess.DEVNULL)
    try:
        wait_for_device(node, process, tun)
        node.ip(f"link set {tun} txqueuelen {PACKETS + 100}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def wait_for_device(node: Namespace, process: subprocess.Popen, tun: str) -> None:
    end = time.monotonic() + 10
    while node.try_run("ip", "link", "show", "dev", tun).returncode != 0:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args} did not open {tun}")
        time.sleep(0.05)
    # It has a device; now let it come to its loop.
    time.sleep(0.5)
