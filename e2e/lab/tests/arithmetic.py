"""The check that every test ends with: tshark goes over all that the relays emitted. Here: that it would tell."""

from pathlib import Path

from lab import arithmetic
from lab.arithmetic import Arithmetic
from lab.lab import Lab
from lab.recorder import recording
from lab.topology import BR, INTERNET
from lab.traffic import connect, exchange, serve
from lab.wire import PCAP_HEADER, read_packets, write_packet

PROTOCOLS = ("IPv4 header", "TCP", "UDP", "ICMP", "ICMPv6")
TTL = {4: 8, 6: 40 + 8}  # where the TTL of the only or the inner IPv4 header is


def test_wrong_bytes_are_found(lab: Lab):
    """tshark finds one wrong byte in each packet of a relay, and each packet cut short: no error could hide from it"""
    emitted = record(lab)
    found = check(lab, emitted)
    assert not found.wrong, found.wrong
    assert found.datagrams == 4 and all(found.right[name] for name in PROTOCOLS), str(found)

    whole = [packet for packet in emitted if not is_piece(packet)]
    with_ipv4 = [packet for packet in whole if packet[0] >> 4 == 4 or packet[6] == 4]
    all_wrong(lab, [changed(packet, len(packet) - 1) for packet in whole], "checksum")
    all_wrong(lab, [changed(packet, TTL[packet[0] >> 4]) for packet in with_ipv4], "IPv4 header checksum")
    all_wrong(lab, [packet[:-1] for packet in whole], "length")

    pieces = [changed(packet, len(packet) - 1) for packet in emitted if is_piece(packet)]
    assert len(check(lab, pieces).wrong) == 4, "a datagram is known to be wrong when its fragments are put together"


def record(lab: Lab) -> list[bytes]:
    """What a relay emits of every protocol, both ways; whole and, of one datagram from each of four, in fragments."""
    customer, file = lab.customers[0], lab.folder / "sample.pcap"
    with recording(lab.relay_node, file) as recorder, lab.relay():
        serve(lab, lab.internet, 80, "python3", "-m", "http.server", "80")
        connect(customer.lan)
        exchange(lab, customer)
        customer.lan.run("ping", "-c", "2", "-i", "0.1", "-W", "5", str(INTERNET))
        customer.lan.run("ping", "-c", "2", "-i", "0.1", "-W", "5", "-s", "3000", str(INTERNET))
        lab.core.run("ping", "-6", "-c", "1", "-W", "5", str(BR))
        recorder.stop()
    return read_packets(file)


def is_piece(packet: bytes) -> bool:
    inner = packet[40:] if packet[0] >> 4 == 6 and packet[6] == 4 else packet
    return inner[0] >> 4 == 4 and inner[6:8] not in (b"\0\0", b"\x40\0")


def changed(packet: bytes, at: int) -> bytes:
    return packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1 :]


def check(lab: Lab, packets: list[bytes]) -> Arithmetic:
    file: Path = lab.folder / "checked.pcap"
    with open(file, "wb") as out:
        out.write(PCAP_HEADER)
        for packet in packets:
            write_packet(out, packet)
    return arithmetic.check(file)


def all_wrong(lab: Lab, packets: list[bytes], words: str) -> None:
    """Every packet is told to be wrong, in these words."""
    wrong = check(lab, packets).wrong
    silent = [number for number in range(1, len(packets) + 1)
              if not any(told.startswith(f"frame {number},") and words in told for told in wrong)]
    assert packets and not silent, "\n".join([f"not told to be wrong ({words}): frames {silent}", *wrong])
