"""TUN daemons from outside: a burst into a stopped daemon's queue, and how long it takes for all of it.

Every subject runs in one namespace with a TUN of its own, on CPU 1; whoever waits for the packets does so on CPU 0.
Subjects take turns, and each is worth its best run: other work on the machine only ever makes a run slower.
"""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lab.namespaces import Namespace, lock_run, remove_leftovers, unlock_run

from . import build
from .figures import Figure, progress

# Enough that waking up and the last look at the counter are small beside it.
PACKETS = 20_000
WAIT_CPU, WORK_CPU = 0, 1
BUSY = 0.1
PATIENCE_SECONDS = 10

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
    with box() as node, relay(node) as relay_pid, copy_loop(node) as copy_pid:
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
    with box() as node, neighbour(node), relay(node) as relay_pid, tayga(node) as tayga_pid:
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
    busy = 0
    for run in range(runs + 1):
        progress(f"run {run} of {runs}" if run else "warming up")
        for key, (pid, tun, counter, kind) in subjects.items():
            busy += not wait_for_quiet()
            counter_file = f"/sys/class/net/{counter}"
            argv = [build.HELPER, "burst", pid, tun, counter_file, PACKETS, kind, WAIT_CPU]
            nanoseconds = float(node.run(*map(str, argv)))
            if run:
                times[key].append(nanoseconds)
    if busy:
        progress(f"the machine was busy with other work before {busy} of {(runs + 1) * len(subjects)} bursts")
    return {key: min(values) for key, values in times.items()}


def wait_for_quiet() -> bool:
    """Waits until the CPUs are idle; `False` if they never were."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        before = cpu_times()
        time.sleep(0.05)
        idle, total = (after - earlier for after, earlier in zip(cpu_times(), before))
        if total and 1 - idle / total < BUSY:
            return True
    return False


def cpu_times() -> tuple[int, int]:
    """Idle and all ticks of all CPUs since the start."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


@contextlib.contextmanager
def box() -> Iterator[Namespace]:
    """A box that forwards."""
    remove_leftovers()
    lock = lock_run(os.getpid())
    node = Namespace(os.getpid(), "box")
    try:
        for family in ("ipv4__conf__all", "ipv4__conf__default"):
            node.sysctl(**{f"{family}__rp_filter": 0})
        node.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        yield node
    finally:
        node.remove()
        unlock_run(lock)


@contextlib.contextmanager
def neighbour(node: Namespace) -> Iterator[None]:
    """Somebody beyond `out0` who takes all IPv6 and says nothing."""
    other = Namespace(os.getpid(), "far")
    try:
        other.sysctl(ipv6__conf__default__accept_dad=0)
        node.ip(f"link add out0 type veth peer name in0 netns {other.name}", "link set out0 up")
        other.ip("link set in0 up")
        address = json.loads(other.show("-json", "link", "show", "in0"))[0]["address"]
        node.ip(
            "address add 2001:db8:ffff:100::1/64 dev out0 nodad",
            f"neighbour replace 2001:db8:ffff:100::2 lladdr {address} dev out0 nud permanent",
            "route add 2001:db8::/36 via 2001:db8:ffff:100::2 dev out0",
        )
        drop_behind(other, "in0")
        yield
    finally:
        other.remove()


def drop_behind(node: Namespace, *devices: str) -> None:
    """Drops whatever comes in by these devices, before anything is done with it."""
    hook = f"type filter hook ingress devices = {{ {', '.join(devices)} }} priority 0; policy drop;"
    node.run("nft", f"table netdev bench {{ chain drops {{ {hook} }}; }}")


@contextlib.contextmanager
def relay(node: Namespace) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "bench.yaml"
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
def tayga(node: Namespace) -> Iterator[int]:
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(TAYGA)
        file.flush()
        node.run("tayga", "--config", file.name, "--mktun")
        node.ip("link set tayga0 up")
        with daemon(node, "tayga0", "tayga", "--config", file.name, "--nodetach") as pid:
            yield pid


@contextlib.contextmanager
def daemon(node: Namespace, tun: str, *argv) -> Iterator[int]:
    """A process on the CPU for work; its TUN is there, and its queue takes a burst, when this yields its pid."""
    argv = ["taskset", "--cpu-list", WORK_CPU, *argv]
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
