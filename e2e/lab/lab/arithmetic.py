"""Has tshark, which shares nothing with the relay, go over a capture: every checksum, every length, every datagram that
came in fragments.
"""

import os
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

# Checksums are verified where tshark would trust the network card; fragments are put together, of both families.
# Contents are nobody's protocol, even on a port that has one.
SETTINGS = [
    "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
    "-o", "ip.defragment:TRUE", "-o", "ipv6.defragment:TRUE",
    "-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
    "-d", "udp.port==0-65535,data", "-d", "tcp.port==0-65535,data",
]
CHECKSUMS = {"IPv4 header": "ip", "TCP": "tcp", "UDP": "udp", "ICMP": "icmp", "ICMPv6": "icmpv6",
             "ICMP extension": "icmp.ext"}
FIELDS = ["frame.number", "frame.protocols", *(f"{name}.checksum.status" for name in CHECKSUMS.values()),
          "ip.flags.mf", "ip.frag_offset", "ipv6.fraghdr.nxt", "ip.fragment.count", "ipv6.fragment.count",
          "_ws.expert.severity", "_ws.expert.group", "_ws.expert.message", "_ws.col.Info"]
BETWEEN = "|"
BAD, GOOD, UNVERIFIED = "0", "1", "2"
# Wireshark's epan/proto.h. An error is bad in any group; a warning about order, resets or retries is the peers' affair.
ERROR, WARNING = 0x800000, 0x600000
CHECKSUM, REASSEMBLY, MALFORMED, PROTOCOL = 0x01000000, 0x06000000, 0x07000000, 0x09000000
# Exception: a TCP checksum of 0xffff where others write 0 is right as a sum, and Linux's own: it completes every
# checksum as UDP's (skb_checksum_help). The relay carries it on.
LINUX_FFFF = "TCP Checksum 0xffff instead of 0x0000 (see RFC 1624)"


@dataclass
class Arithmetic:
    """What came of a capture, or of several."""

    packets: int = 0
    tunnelled: int = 0
    fragments: int = 0
    datagrams: int = 0
    right: Counter = field(default_factory=Counter)
    unknown: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Arithmetic") -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        rows = [f"  {name:<14} {self.right[name]:>9,} {self.unknown[name]:>13,}" for name in CHECKSUMS
                if self.right[name] or self.unknown[name]]
        return "\n".join([
            f"tshark went over {self.packets:,} packets that relays emitted, {self.tunnelled:,} of them tunnel packets: "
            f"{len(self.wrong)} malformed or with a wrong checksum",
            f"  {'checksums':<14} {'right':>9} {'not all there':>13}", *rows,
            f"  {self.fragments:,} fragments, of which {self.datagrams:,} datagrams were put together",
        ])


def check(capture: Path) -> Arithmetic:
    """Reads a capture of plain IP packets."""
    shown = [word for name in FIELDS for word in ("-e", name)]
    argv = ["tshark", "-n", "-r", str(capture), *SETTINGS, "-T", "fields", "-E", f"aggregator={BETWEEN}", *shown]
    settings = {"WIRESHARK_CONFIG_DIR": str(capture.parent / "nobody's settings")}
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", env=os.environ | settings)
    assert done.returncode == 0, f"tshark ended with {done.returncode}: {done.stderr}"
    total = Arithmetic()
    for line in done.stdout.splitlines():
        count(total, dict(zip(FIELDS, line.split("\t"), strict=True)))
    return total


def count(total: Arithmetic, frame: dict[str, str]) -> None:
    total.packets += 1
    total.tunnelled += frame["frame.protocols"].split(":")[1:3] == ["ipv6", "ip"]
    total.fragments += is_fragment(frame)
    total.datagrams += bool(frame["ip.fragment.count"] or frame["ipv6.fragment.count"])
    wrong = complaints(frame)
    for name, layer in CHECKSUMS.items():
        states = checksums(frame, layer)
        total.right[name] += states.count(GOOD)
        total.unknown[name] += len(states) - states.count(GOOD) - states.count(BAD)
        wrong += [f"{name} checksum"] * (BAD in states)
    if wrong:
        total.wrong.append(f"frame {frame['frame.number']}, {frame['_ws.col.Info']}: {'; '.join(wrong)}")


def checksums(frame: dict[str, str], layer: str) -> list[str]:
    """What tshark thinks of each checksum of a layer."""
    found = values(frame, f"{layer}.checksum.status")
    if layer == "tcp" and is_quote(frame):  # tshark takes the part of a segment that an ICMP error quotes for all of it
        return [UNVERIFIED] * len(found)
    if layer == "tcp" and LINUX_FFFF in values(frame, "_ws.expert.message"):
        return [GOOD] * len(found)
    return found


def complaints(frame: dict[str, str]) -> list[str]:
    """tshark's own words about what is not as it should be."""
    names = ("_ws.expert.severity", "_ws.expert.group", "_ws.expert.message")
    notes = zip(*(values(frame, name) for name in names), strict=True)
    return [message for severity, group, message in notes if is_bad(frame, int(severity), int(group), message)]


def is_bad(frame: dict[str, str], severity: int, group: int, message: str) -> bool:
    if group == CHECKSUM and (message == LINUX_FFFF or is_quote(frame)):
        return False  # `checksums` tells
    return severity >= ERROR or severity >= WARNING and group in (CHECKSUM, REASSEMBLY, MALFORMED, PROTOCOL)


def is_quote(frame: dict[str, str]) -> bool:
    """Whether this is an ICMP error."""
    return ":icmp:ip" in frame["frame.protocols"] or ":icmpv6:ip" in frame["frame.protocols"]


def is_fragment(frame: dict[str, str]) -> bool:
    more, later = "1" in values(frame, "ip.flags.mf"), set(values(frame, "ip.frag_offset")) - {"0"}
    return more or bool(later) or bool(frame["ipv6.fraghdr.nxt"])


def values(frame: dict[str, str], name: str) -> list[str]:
    return frame[name].split(BETWEEN) if frame[name] else []
