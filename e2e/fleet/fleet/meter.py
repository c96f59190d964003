"""Counted traffic at thousands of packets a second: drives `culvert-meter` (e2e/meter), as traffic.py does its own flows."""

import contextlib
import json
import queue
import subprocess
import threading
import time
from pathlib import Path

from cluster.fabric import INTERNET, Fabric

RATE = 5200  # datagrams a second, each way
RECORDS = 20  # a second, each way, of each TCP connection
DATAGRAMS = 12  # flows of each customer
CONNECTIONS = ("TCPOut", "TCPIn")
FIRST_PORT = 9000  # of the Internet's ends
OPENS = 60  # seconds for all flows to begin
ANSWERS = 60  # seconds for a window's report: TCP gets 20 to mend its gaps


class Counted:
    """A window: what was sent in it, and what became of it."""

    def __init__(self, name: str):
        self.name = name
        self.report: dict = {}

    @property
    def lost(self) -> int:
        return self.report["lost"]

    @property
    def outage(self) -> float:
        """Milliseconds: the longest gap of any flow, by the sender's clock."""
        return self.report["outageMilliseconds"]

    @property
    def rate(self) -> float:
        """Datagrams a second, of the direction that had fewer."""
        return min(self.report["sentFromCe"], self.report["sentToCe"]) / self.report["seconds"]

    def __str__(self) -> str:
        report, tcp = self.report, self.report["connections"]
        return (f"{self.name}: {report['sentFromCe']:,} + {report['sentToCe']:,} datagrams in {report['seconds']:.1f} s, "
                f"{self.lost} lost, longest gap {self.outage:.0f} ms; TCP: {tcp['sent']} records, {tcp['missing']} missing, "
                f"longest silence {tcp['silenceMilliseconds']:.0f} ms")

    def detail(self) -> str:
        gaps = [f"{gap['flow']}: {gap['lost']} lost from {gap['first']}, {gap['atMilliseconds']:.0f} ms after the beginning, "
                f"for {gap['outageMilliseconds']:.0f} ms" for gap in self.report["gaps"]]
        return "\n".join([str(self), *gaps])

    def lost_nothing(self) -> bool:
        return self.lost == 0 and self.report["connections"]["missing"] == 0


class Meter:
    """Flows of all customers, both ways, until the end of the block."""

    def __init__(self, fabric: Fabric, program: Path, folder: Path, rate: int = RATE):
        self.fabric, self.program, self.folder, self.rate = fabric, program, folder, rate
        self.said: queue.Queue[str | None] = queue.Queue()

    def __enter__(self) -> "Meter":
        config = self.folder / "meter.json"
        config.write_text(json.dumps(self.config(), indent=1))
        with open(self.folder / "meter.log", "w") as log:
            self.process = subprocess.Popen(
                [str(self.program), str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True)
        threading.Thread(target=self.listen, daemon=True).start()
        try:
            assert self.answer(OPENS) == {"ready": True}
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def listen(self) -> None:
        for line in self.process.stdout:
            self.said.put(line)
        self.said.put(None)

    def answer(self, seconds: float) -> dict:
        try:
            line = self.said.get(timeout=seconds)
        except queue.Empty:
            line = None
        assert line, f"the meter says nothing: {(self.folder / 'meter.log').read_text().strip()}"
        return json.loads(line)

    def tell(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    @contextlib.contextmanager
    def window(self, name: str):
        """What is sent while the block around it runs is counted."""
        counted = Counted(name)
        self.tell(f"window {name}")
        yield counted
        self.tell("end")
        counted.report = self.answer(ANSWERS)
        self.check(counted)

    def control(self, seconds: float = 3) -> Counted:
        """The same traffic while nothing changes."""
        with self.window("control, no change") as counted:
            time.sleep(seconds)
        return counted

    def check(self, counted: Counted) -> None:
        """What may not be in any case."""
        report = counted.report
        assert not report["connections"]["broken"], f"connections broke: {report['connections']['broken']}"
        for fault in ("damaged", "twice"):
            assert not report[fault], f"{counted.name}: {report[fault]} records came {fault}"

    def config(self) -> dict:
        flows = []
        for customer in self.fabric.customers:
            for place, kind in enumerate(["UDP"] * DATAGRAMS + list(CONNECTIONS)):
                number = len(flows)
                port = customer.ports[place].start + 9  # a port that the CE owns
                flows.append({
                    "kind": kind, "customer": f"ce{customer.number}",
                    "customerNamespace": str(customer.lan.path), "customerPort": port,
                    "public": f"{customer.public}:{port}",
                    "internetNamespace": str(self.fabric.internet.path),
                    "internet": f"{INTERNET[number % len(INTERNET)]}:{FIRST_PORT + number}",
                })
        return {"datagramsPerSecond": self.rate, "recordsPerSecond": RECORDS, "flows": flows}
