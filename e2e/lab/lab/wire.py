"""Sockets on the lab's wires: listening to a link, sending packets made by hand, and plain UDP between nodes."""

import contextlib
import json
import socket
import struct
import time
from pathlib import Path

from .namespaces import Namespace
from .packets import Packet, describe, parse

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_STATISTICS = 263, 6
IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO = 10, 0, 2
PACKET_OUTGOING = 4
BUFFER = 64 << 20
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, 101)  # LINKTYPE_RAW


class Capture:
    """Hears every IP packet on a device, both ways, from now on."""

    def __init__(self, namespace: Namespace, device: str):
        self.name = f"{namespace.node}-{device}"
        self.heard: list[tuple[float, Packet, bool]] = []
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        with namespace.entered():
            self.socket.bind((device, ETH_P_ALL))

    def read(self) -> None:
        """Takes in what has come so far."""
        self.socket.setblocking(False)
        while True:
            try:
                raw, source = self.socket.recvfrom(1 << 17)
            except BlockingIOError:
                return
            if packet := parse(raw):
                self.heard.append((time.time(), packet, source[2] == PACKET_OUTGOING))

    def read_all(self) -> None:
        """The same, sure that nothing was missed for want of room."""
        self.read()
        lost = missed(self.socket)
        assert lost == 0, f"{self.name}: {lost} packets went unheard, so nothing can be said about them"

    def packets(self, wanted=lambda packet: True) -> list[Packet]:
        """What has come so far and is wanted."""
        self.read_all()
        return [packet for _, packet, _ in self.heard if wanted(packet)]

    def sent(self, wanted=lambda packet: True) -> list[Packet]:
        """What this node has sent by the device so far, and is wanted."""
        self.read_all()
        return [packet for _, packet, outgoing in self.heard if outgoing and wanted(packet)]

    def received(self, wanted=lambda packet: True) -> list[Packet]:
        """What this node has received by the device so far, and is wanted."""
        self.read_all()
        return [packet for _, packet, outgoing in self.heard if not outgoing and wanted(packet)]

    def wait(self, wanted, seconds: float = 5) -> Packet | None:
        """The first wanted packet, or `None` if none comes in time."""
        deadline = time.monotonic() + seconds
        while not (found := self.packets(wanted)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return found[0] if found else None

    def save(self, folder: Path) -> None:
        """Writes what was heard as a capture file, and as text."""
        with contextlib.suppress(OSError):  # closed already
            self.read()
        with open(folder / f"{self.name}.pcap", "wb") as out:
            out.write(PCAP_HEADER)
            for when, packet, _ in self.heard:
                write_packet(out, packet.raw, when)
        lines = [("> " if outgoing else "< ") + describe(packet) for _, packet, outgoing in self.heard[:10_000]]
        (folder / f"{self.name}.txt").write_text("\n".join(lines) + "\n")

    def close(self) -> None:
        self.socket.close()


def write_packet(out, packet: bytes, when: float = 0) -> None:
    """Adds a packet to a capture file."""
    out.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(packet), len(packet)))
    out.write(packet)


def read_packets(file: Path) -> list[bytes]:
    """The packets of a capture file."""
    content, at, found = file.read_bytes(), len(PCAP_HEADER), []
    while at < len(content):
        size = struct.unpack_from("<I", content, at + 8)[0]
        found.append(content[at + 16 : at + 16 + size])
        at += 16 + size
    return found


def missed(capturing: socket.socket) -> int:
    """How many packets a capturing socket had no room for, since it was last asked."""
    return struct.unpack("II", capturing.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]


def send_ipv4(namespace: Namespace, *packets: bytes) -> None:
    """Sends ready-made IPv4 packets by the node's routes. The kernel fills in nothing but the checksum, and an identification of 0."""
    with namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as out:
        for packet in packets:
            out.sendto(packet, (str(parse(packet).destination), 0))


def send_ipv6(namespace: Namespace, *packets: bytes) -> None:
    """Sends ready-made IPv6 packets by the node's routes, whatever source they carry."""
    with namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as out:
        for packet in packets:
            out.sendto(packet, (str(parse(packet).destination), 0))


def udp_socket(namespace: Namespace, address: str = "0.0.0.0", port: int = 0) -> socket.socket:
    """A bound UDP socket in a node, with a long receive queue."""
    made = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    made.bind((address, port))
    made.settimeout(5)
    return made


def set_dont_fragment(sender: socket.socket, on: bool) -> None:
    """Has all packets of a socket carry DF, or none: by itself Linux sets it while a packet fits."""
    sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO if on else IP_PMTUDISC_DONT)


def device_packets(namespace: Namespace, device: str, counter: str = "rx_packets") -> int:
    """One of the kernel's counters for a device."""
    link = json.loads(namespace.show("-json", "-statistics", "link", "show", "dev", device))[0]
    side, word = counter.split("_", 1)
    return link["stats64"][side][word]
