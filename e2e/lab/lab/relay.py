"""The relay under test: a real `culvert-relay` process in its own node, seen only through what it shows to anybody."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from .namespaces import Namespace
from .topology import BR, RELAY_SOURCE, RULE

TUN = "culvert0"
ADMIN_PORT = 9108
DOMAIN = {"namespace": "lab", "domain": "isp-a"}
SERIES = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def manifest(**changes) -> str:
    """The lab's MapDomain as JSON (which is YAML), with changed or added spec fields."""
    rule = {
        "name": "r1",
        "ipv4Prefix": str(RULE.ipv4_prefix),
        "mapePrefix": str(RULE.ipv6_prefix),
        "eaBitsLength": RULE.ea_bits,
        "psidOffset": RULE.psid_offset,
        "psidLength": RULE.psid_length,
    }
    spec = {
        "softwireAddress": str(BR),
        "version": "RFC7597",
        "rules": [rule],
        "icmp": {"ipv4Source": str(RELAY_SOURCE)},
    }
    return document(DOMAIN["domain"], spec | changes)


def document(name: str, spec: dict) -> str:
    metadata = {"name": name, "namespace": DOMAIN["namespace"]}
    return json.dumps({"apiVersion": "culvert.dev/v1alpha1", "kind": "MapDomain", "metadata": metadata, "spec": spec})


class Metrics:
    """One reading of /metrics."""

    def __init__(self, text: str):
        self.text = text
        found = (SERIES.fullmatch(line) for line in text.splitlines())
        series = [(match[1], dict(LABEL.findall(match[2] or "")), float(match[3])) for match in found if match]
        self.series = [entry for entry in series if not is_kernels_own(entry[1])]

    def __str__(self) -> str:
        return "".join(f"\n  {name} {has} {value:.0f}" for name, has, value in self.series if name.endswith("_total"))

    def total(self, name: str, **labels: str | None) -> int:
        """The sum of the series of that name with these labels; a label that is `None` may have any value."""
        given = {key: value for key, value in labels.items() if value is not None}
        return int(sum(value for series, has, value in self.series if series == name and given.items() <= has.items()))

    def forwarded(self, direction: str) -> int:
        return self.total("culvert_forwarded_packets_total", direction=direction)

    def dropped(self, direction: str | None = None, reason: str | None = None) -> int:
        return self.total("culvert_dropped_packets_total", direction=direction, reason=reason)

    def drops(self) -> dict[tuple[str, str], int]:
        """Every drop counter that has counted: (direction, reason) -> packets."""
        return {
            (has["direction"], has["reason"]): int(value)
            for name, has, value in self.series
            if name == "culvert_dropped_packets_total"
        }

    def tun_drops(self) -> int:
        """Packets that the kernel dropped because the relay's queue was full."""
        return self.total("culvert_tun_dropped_packets_total")

    def reload_failures(self) -> int:
        return self.total("culvert_config_reload_failures_total")


def is_kernels_own(labels: dict[str, str]) -> bool:
    """The relay's host itself may speak on the TUN, of multicast groups for instance: no traffic of ours."""
    return labels.get("reason") == "NotForRelay" and labels.get("domain") == ""


class Pages:
    """What a relay tells anybody who asks, however it is reached."""

    name: str

    def get(self, path: str) -> tuple[int, str]:
        """The status and body of an admin page."""
        raise NotImplementedError

    def metrics(self) -> Metrics:
        return Metrics(self.page("/metrics"))

    def state(self) -> dict:
        return json.loads(self.page("/state"))

    def page(self, path: str) -> str:
        status, text = self.get(path)
        assert status == 200, f"{self.name}: {path} answered {status}: {text}"
        return text

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False


def fetch(connection: http.client.HTTPConnection, path: str) -> tuple[int, str]:
    """The status and body of a page, over a connection that is ended then."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Relay(Pages):
    """A running culvert-relay. Its configuration folder, log and process are this object's."""

    def __init__(self, namespace: Namespace, binary: Path, folder: Path, config: str, flags=(), wrapper=(),
                 admin_port: int = ADMIN_PORT):
        self.namespace = namespace
        self.admin_port = admin_port
        self.name = folder.name
        self.folder = folder
        self.config = folder / "config" / "isp-a.yaml"
        self.config.parent.mkdir(parents=True)
        self.write_config(config)
        self.log_file = folder / "relay.log"
        argv = [
            *wrapper, str(binary), "run", "--config", str(self.config.parent), "--admin", f"127.0.0.1:{admin_port}",
            *flags,
        ]
        (folder / "command").write_text(" ".join(argv) + "\n")
        with open(self.log_file, "w") as log:
            self.process = subprocess.Popen(namespace.argv(*argv), stdout=log, stderr=log, env=clean_environment())

    def write_config(self, config: str) -> None:
        """Replaces the manifest as careful editors do: never half of it is there."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(config)
        fresh.rename(self.config)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port)
        connection.sock = self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.sock.settimeout(5)
        try:
            connection.sock.connect(("127.0.0.1", self.admin_port))
        except OSError:
            connection.close()
            raise
        return fetch(connection, path)

    def wait_ready(self, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            assert self.process.poll() is None, f"the relay ended with {self.process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"the relay is not ready:\n{self.log}"
            time.sleep(0.02)

    def wait_end(self, seconds: float = 15) -> int:
        """Waits for the process to end by itself; its exit code."""
        return self.process.wait(seconds)

    def stop(self) -> int:
        """Ends the relay as an init system would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def clean_environment() -> dict[str, str]:
    """Ours, without settings for another relay."""
    return {key: value for key, value in os.environ.items() if not key.startswith("CULVERT_")}
