"""One lab: the network, the relays and programs started in it, and what is kept as evidence."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from .namespaces import CommandFailed, Namespace, command
from .relay import Relay, manifest
from .topology import RELAY_SOURCE, Network
from .wire import Capture

LAB = Path(__file__).resolve().parent.parent
REPOSITORY = LAB.parent.parent
PROGRAMS = {
    "ip": "iproute2", "nft": "nftables", "ping": "iputils-ping", "curl": "curl", "dig": "dnsutils",
    "dnsmasq": "dnsmasq-base", "iperf3": "iperf3", "traceroute": "traceroute", "setpriv": "util-linux",
    "ss": "iproute2", "ethtool": "ethtool", "tshark": "tshark",
}
NEEDED = "Linux 6.1 and iproute2 6.0 or newer are needed"
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


class Missing(Exception):
    """Something the lab needs is not on this machine."""


def become_root() -> None:
    """Starts this program again by sudo if it has to be: network namespaces are root's."""
    if os.geteuid() == 0:
        return
    if shutil.which("sudo") is None:
        raise Missing("the lab makes network namespaces: run it as root (there is no sudo here)")
    ours = ("CARGO_TARGET_DIR", "CULVERT_CACHE", "CULVERT_RELAY", "NO_COLOR")
    kept = [f"{name}={os.environ[name]}" for name in ours if name in os.environ]
    os.execvp("sudo", ["sudo", *kept, sys.executable, *sys.argv])


def check_machine() -> None:
    """Says what is missing, all at once, before anything is set up."""
    if not __debug__:
        raise Missing("python3 -O leaves checks away")
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{SBIN}"
    become_root()
    lacking = [f"{program} ({package})" for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if lacking:
        raise Missing(f"not installed: {', '.join(lacking)}. Run scripts/install-tools")
    if not Path("/dev/net/tun").exists():
        raise Missing("/dev/net/tun is missing: load the kernel module (modprobe tun)")


def find_binary() -> Path:
    """The relay to test: $CULVERT_RELAY, else the release build."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    binary = Path(os.environ.get("CULVERT_RELAY", target / "release" / "culvert-relay"))
    if not os.access(binary, os.X_OK):
        raise Missing(f"{binary} is missing: run `cargo build --release -p culvert-relay`")
    return binary


class Lab:
    """A fresh network for one test; everything in it ends with it."""

    def __init__(self, folder: Path, binary: Path):
        self.folder = folder
        self.binary = binary
        self.network = Network(os.getpid())
        self.processes: list[subprocess.Popen] = []
        self.relays: list[Relay] = []
        self.captures: list[Capture] = []
        self.before = ""  # the relay's node before its first relay

    def __enter__(self) -> "Lab":
        try:
            self.network.build()
        except CommandFailed as failed:
            self.close()
            raise Missing(f"the network cannot be built: {failed}\n({NEEDED})") from failed
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        with uninterrupted():
            for capture in self.captures:
                capture.close()
            for relay in self.relays:
                relay.kill()
            for process in self.processes:
                end(process)
            self.network.remove()

    @property
    def relay_node(self) -> Namespace:
        return self.network.relay

    @property
    def core(self) -> Namespace:
        return self.network.core

    @property
    def internet(self) -> Namespace:
        return self.network.internet

    @property
    def customers(self) -> list:
        return self.network.customers

    def launch(self, config: str | None = None, *flags: str, ipv4_source=RELAY_SOURCE, **options) -> Relay:
        """Starts a relay and returns at once."""
        self.before = self.before or picture(self.relay_node)
        folder = self.folder / f"relay{len(self.relays) + 1}"
        source = ["--ipv4-source", str(ipv4_source)] if ipv4_source else []
        relay = Relay(self.relay_node, self.binary, folder, config or manifest(), [*source, *flags], **options)
        self.relays.append(relay)
        return relay

    @contextlib.contextmanager
    def relay(self, config: str | None = None, *flags: str, **options):
        """A relay that forwards meanwhile, and has to end well."""
        relay = self.launch(config, *flags, **options)
        relay.wait_ready()
        yield relay
        self.note_metrics(relay)
        code = relay.stop()
        assert code == 0, f"the relay ended with {code} at SIGTERM:\n{relay.log}"

    def check_nothing_is_left(self) -> None:
        """After its last relay has ended, a node looks as it did before the first."""
        assert all(relay.process.poll() is not None for relay in self.relays), "a relay still runs"
        before, after = self.before.splitlines(), picture(self.relay_node).splitlines()
        gone = [f"- {line}" for line in before if line not in after]
        new = [f"+ {line}" for line in after if line not in before]
        assert not gone and not new, "\n".join(["the relay left something behind:", *gone, *new])

    def note_metrics(self, relay: Relay) -> None:
        (relay.folder / "metrics").write_text(relay.metrics().text)

    def filter(self, node: Namespace, match: str) -> None:
        """Has a node drop the IPv4 packets that match when they come in."""
        chain = f"chain filter {{\n type filter hook prerouting priority raw\n {match} drop\n}}"
        command(*node.argv("nft", "-f", "-"), stdin=f"table ip lab {{\n{chain}\n}}\n")

    def start(self, node: Namespace, *argv: str) -> subprocess.Popen:
        """Starts a program in a node; it ends with the lab."""
        log = self.folder / f"{node.node}-{Path(argv[0]).name}.log"
        with open(log, "a") as out:
            process = subprocess.Popen(node.argv(*argv), stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def capture(self, node: Namespace, device: str) -> Capture:
        capture = Capture(node, device)
        self.captures.append(capture)
        return capture

    def keep_evidence(self) -> None:
        """Writes what only the living lab knows into its folder."""
        for capture in self.captures:
            capture.save(self.folder)
        for relay in self.relays:
            if relay.process.poll() is None:
                with contextlib.suppress(Exception):
                    self.note_metrics(relay)
        for node in self.network.nodes:
            (self.folder / f"{node.node}-network.txt").write_text(picture(node))


def picture(node: Namespace) -> str:
    """Everything about a node's network that a relay could change, as text."""
    parts = [
        node.show("-details", "link"),
        node.show("addr"),
        *(node.show(family, what, "show", *more) for family in ("-4", "-6")
          for what, *more in (("rule",), ("route", "table", "all"))),
        node.run("nft", "list", "ruleset"),
        sysctls(node),
    ]
    return "\n".join(parts)


def sysctls(node: Namespace) -> str:
    """The settings of net.ipv4 and net.ipv6, of the whole node and of each device."""
    lines = []
    with node.entered():
        for pattern in ("ipv[46]/*", "ipv[46]/conf/*/*"):
            for path in sorted(Path("/proc/sys/net").glob(pattern)):
                with contextlib.suppress(OSError):  # a folder, or not to be read
                    lines.append(f"{path} = {path.read_text().strip()}")
    return "\n".join(lines)


def end(process: subprocess.Popen) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def uninterrupted():
    """Signals that would end us wait until this is done."""
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def eventually(condition, seconds: float = 5):
    """Asks again until the answer is true, or time is up; the last answer. For things that happen soon, not in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return answer
