"""Real programs and plain sockets that talk across the lab."""

import contextlib
import hashlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

from .customer import Customer
from .lab import Lab, eventually
from .namespaces import Namespace
from .topology import INTERNET
from .wire import udp_socket

WEB_PORT = 80


def serve(lab: Lab, node: Namespace, port: int, *argv: str) -> subprocess.Popen:
    """Starts a server in a node and waits until it listens."""
    process = lab.start(node, *argv)
    listens = eventually(lambda: f":{port} " in node.run("ss", "-Hltun"), 10)
    assert listens, f"`{' '.join(argv)}` does not listen on port {port}"
    return process


def web_server(lab: Lab, size: int, customer: Customer | None = None) -> tuple[str, str]:
    """A web server with one file of that size, on the Internet or at a customer; its URL and the file's SHA-256."""
    node, address, port = (
        (customer.lan, customer.public, customer.port) if customer else (lab.internet, INTERNET, WEB_PORT)
    )
    folder = lab.folder / "www"
    folder.mkdir(exist_ok=True)
    content = os.urandom(size)
    (folder / "file").write_bytes(content)
    serve(lab, node, port, "python3", "-m", "http.server", str(port), "--directory", str(folder))
    return f"http://{address}:{port}/file", hashlib.sha256(content).hexdigest()


def start_download(lab: Lab, customer: Customer, url: str) -> tuple[subprocess.Popen, Path]:
    """Starts curl at a customer; the process and the file it writes."""
    file = lab.folder / f"download-{customer.number}"
    argv = ["curl", "--silent", "--show-error", "--fail", "--max-time", "120", "--output", str(file), url]
    return lab.start(customer.lan, *argv), file


def download(lab: Lab, customer: Customer, url: str) -> str:
    """Fetches a URL at a customer; the SHA-256 of what came."""
    process, file = start_download(lab, customer, url)
    return finish_download(process, file)


def finish_download(process: subprocess.Popen, file: Path) -> str:
    code = process.wait(150)
    assert code == 0, f"curl ended with {code}"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.unlink()
    return digest


def connect(node: Namespace, port: int = WEB_PORT, mss: int | None = None, source_port: int = 0) -> None:
    """Opens a TCP connection to the Internet and closes it."""
    with node.socket(socket.AF_INET, socket.SOCK_STREAM) as out:
        out.bind(("0.0.0.0", source_port))
        if mss:
            out.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        out.settimeout(10)
        out.connect((str(INTERNET), port))


def exchange(lab: Lab, customer: Customer, port: int = 7000) -> None:
    """One UDP question from a customer to the Internet, and its answer."""
    with udp_socket(lab.internet, str(INTERNET), port) as server, udp_socket(customer.lan) as client:
        client.sendto(b"question", (str(INTERNET), port))
        question, sender = server.recvfrom(100)
        server.sendto(b"answer to " + question, sender)
        assert client.recv(100) == b"answer to question"


class Background:
    """Does something again and again in a thread of its own until stopped, and counts; an error ends it and is kept."""

    def __init__(self, work):
        self.work, self.rounds, self.going, self.error = work, 0, True, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            while self.going:
                self.work()
                self.rounds += 1
        except Exception as error:
            self.error = error

    def stop(self) -> None:
        self.going = False
        self.thread.join(30)
        if self.error:
            raise self.error


class Stream:
    """A steady flow of numbered UDP packets from one socket to another, until stopped."""

    def __init__(self, source: socket.socket, destination: tuple[str, int], receiver: socket.socket, pause: float):
        self.source, self.destination, self.receiver, self.pause = source, destination, receiver, pause
        self.sent = 0
        self.received: list[int] = []
        self.sender, self.listener = Background(self.send), Background(self.receive)

    def send(self) -> None:
        self.source.sendto(self.sent.to_bytes(4, "big"), self.destination)
        self.sent += 1
        time.sleep(self.pause)

    def receive(self) -> None:
        self.receiver.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            self.received.append(int.from_bytes(self.receiver.recv(100), "big"))

    def stop(self) -> None:
        """Ends the flow, and waits for what is on its way."""
        self.sender.stop()
        eventually(lambda: len(self.received) >= self.sent)
        self.listener.stop()

    def abandon(self) -> None:
        """Ends the flow, whatever becomes of it."""
        self.sender.going = self.listener.going = False

    def loss(self) -> str | None:
        """What is wrong with what arrived, or `None`: every packet has to arrive once, in order."""
        if self.received == list(range(self.sent)):
            return None
        missing = sorted(set(range(self.sent)) - set(self.received))
        return f"{self.sent} packets sent, {len(self.received)} received, missing: {missing[:20]}"


def stream_out(lab: Lab, customer: Customer, port: int, pause: float = 0.0005) -> Stream:
    """From a customer to the Internet."""
    receiver = udp_socket(lab.internet, str(INTERNET), port)
    return Stream(udp_socket(customer.lan), (str(INTERNET), port), receiver, pause)


def stream_in(lab: Lab, customer: Customer, pause: float = 0.0005) -> Stream:
    """From the Internet to one of a customer's ports."""
    receiver = udp_socket(customer.lan, port=customer.port)
    return Stream(udp_socket(lab.internet, str(INTERNET)), (str(customer.public), customer.port), receiver, pause)
