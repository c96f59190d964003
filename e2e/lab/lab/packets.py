"""Packets as bytes and back: what the lab sends by hand, and what it reads off the wire."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

ICMP, IPIP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 4, 6, 17, 44, 58
PROTOCOLS = {ICMP: "ICMP", IPIP: "IPv4", TCP: "TCP", UDP: "UDP", FRAGMENT: "fragment", ICMPV6: "ICMPv6"}
DONT_FRAGMENT = 0x4000
TCP_FLAGS = [(0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK")]
ICMP_ERRORS = (3, 4, 5, 11, 12)
ICMP_NAMES = {
    (0, 0): "echo reply",
    (8, 0): "echo request",
    (3, 1): "host unreachable",
    (3, 3): "port unreachable",
    (3, 4): "too big",
    (11, 0): "time exceeded",
}
ICMPV6_NAMES = {
    (1, 0): "no route",
    (1, 5): "source address failed policy",
    (2, 0): "packet too big",
    (3, 0): "hop limit exceeded",
    (128, 0): "echo request",
    (129, 0): "echo reply",
}


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_checksum(segment: bytes, at: int, pseudo: bytes = b"") -> bytes:
    """Puts the checksum of `pseudo` and `segment` into `segment`, where it is zero so far."""
    return segment[:at] + struct.pack("!H", checksum(pseudo + segment)) + segment[at + 2 :]


def ipv4(source, destination, protocol: int, payload: bytes, ttl: int = 64, identification: int = 1,
         dont_fragment: bool = False, fragment: int = 0) -> bytes:
    """An IPv4 packet; `fragment` is flags and offset as they stand in the header."""
    flags = fragment | (DONT_FRAGMENT if dont_fragment else 0)
    addresses = ip_address(source).packed + ip_address(destination).packed
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identification, flags, ttl, protocol, 0) + addresses
    return with_checksum(header, at=10) + payload


def ipv6(source, destination, next_header: int, payload: bytes, hop_limit: int = 64) -> bytes:
    addresses = ip_address(source).packed + ip_address(destination).packed
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, hop_limit) + addresses + payload


def udp(source: tuple, destination: tuple, data: bytes, **header) -> bytes:
    """A UDP packet from (address, port) to (address, port), with its IPv4 header."""
    length = 8 + len(data)
    pseudo = ip_address(source[0]).packed + ip_address(destination[0]).packed + struct.pack("!HH", UDP, length)
    segment = struct.pack("!HHHH", source[1], destination[1], length, 0) + data
    return ipv4(source[0], destination[0], UDP, with_checksum(segment, at=6, pseudo=pseudo), **header)


def echo_request(source, destination, identifier: int, data: bytes = b"culvert", **header) -> bytes:
    message = struct.pack("!BBHHH", 8, 0, 0, identifier, 1) + data
    return ipv4(source, destination, ICMP, with_checksum(message, at=2), **header)


def icmpv6(source, destination, kind: int, code: int, quoted: bytes) -> bytes:
    """An ICMPv6 error that quotes a packet."""
    message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    pseudo = ip_address(source).packed + ip_address(destination).packed + struct.pack("!II", len(message), ICMPV6)
    return ipv6(source, destination, ICMPV6, with_checksum(message, at=2, pseudo=pseudo))


def encapsulate(outer_source, outer_destination, inner: bytes) -> bytes:
    return ipv6(outer_source, outer_destination, IPIP, inner)


def outer_fragments(outer_source, outer_destination, inner: bytes, identification: int, step: int = 1000) -> list[bytes]:
    """A tunnel packet in IPv6 fragments whose payloads are `step` long, a multiple of 8 (RFC 8200 s.4.5)."""
    return [
        ipv6(outer_source, outer_destination, FRAGMENT,
             struct.pack("!BBHI", IPIP, 0, at | (at + step < len(inner)), identification) + inner[at : at + step])
        for at in range(0, len(inner), step)
    ]


@dataclass(frozen=True)
class Packet:
    """What the lab asks about a packet. `inner` is the packet inside: a tunnelled one, or the one an error is about."""

    raw: bytes
    version: int
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: int
    ttl: int
    dont_fragment: bool
    later_fragment: bool
    payload: bytes
    ports: tuple[int, int] | None = None
    icmp: tuple[int, int] | None = None
    mtu: int | None = None
    inner: "Packet | None" = None

    @property
    def innermost(self) -> "Packet":
        """The packet a tunnel carries; itself where there is no tunnel."""
        return self.inner if self.protocol == IPIP and self.inner else self

    @property
    def data(self) -> bytes:
        """What a UDP packet carries."""
        return self.payload[8:]


def parse(raw: bytes) -> Packet | None:
    """Reads a packet, as much of it as is there; `None` if it is not IP."""
    if len(raw) >= 20 and raw[0] >> 4 == 4:
        return parse_ipv4(raw)
    if len(raw) >= 40 and raw[0] >> 4 == 6:
        return parse_ipv6(raw)
    return None


def parse_ipv4(raw: bytes) -> Packet:
    header = (raw[0] & 15) * 4
    total, _, fragment, ttl, protocol = struct.unpack("!HHHBB", raw[2:10])
    later = fragment & 0x1FFF > 0
    payload = raw[header:total]
    return Packet(
        raw[:total], 4, IPv4Address(raw[12:16]), IPv4Address(raw[16:20]), protocol, ttl,
        bool(fragment & DONT_FRAGMENT), later, payload, **({} if later else parse_payload(protocol, payload)),
    )


def parse_ipv6(raw: bytes) -> Packet:
    length, protocol, ttl = struct.unpack("!HBB", raw[4:8])
    payload = raw[40 : 40 + length]
    return Packet(
        raw[: 40 + length], 6, IPv6Address(raw[8:24]), IPv6Address(raw[24:40]), protocol, ttl, True, False, payload,
        **parse_payload(protocol, payload),
    )


def parse_payload(protocol: int, payload: bytes) -> dict:
    if protocol == IPIP:
        return {"inner": parse(payload)}
    if protocol in (TCP, UDP) and len(payload) >= 4:
        return {"ports": struct.unpack("!HH", payload[:4])}
    if protocol == ICMP and len(payload) >= 8:
        return parse_icmp(payload)
    if protocol == ICMPV6 and len(payload) >= 8:
        kind, code, _, word = struct.unpack("!BBHI", payload[:8])
        about = parse(payload[8:]) if kind < 128 else None
        return {"icmp": (kind, code), "mtu": word if kind == 2 else None, "inner": about}
    return {}


def parse_icmp(payload: bytes) -> dict:
    kind, code, _, high, low = struct.unpack("!BBHHH", payload[:8])
    if kind in ICMP_ERRORS:
        return {"icmp": (kind, code), "mtu": low if (kind, code) == (3, 4) else None, "inner": parse(payload[8:])}
    return {"icmp": (kind, code), "ports": (high, high)}


def mss(packet: Packet) -> int | None:
    """The MSS that a TCP SYN offers."""
    options = packet.payload[20 : (packet.payload[12] >> 4) * 4]
    while options and options[0] != 0:
        if options[0] == 2:
            return struct.unpack("!H", options[2:4])[0]
        options = options[1 if options[0] == 1 else max(options[1], 2) :]
    return None


def is_syn(packet: Packet) -> bool:
    return packet.protocol == TCP and len(packet.payload) >= 20 and bool(packet.payload[13] & 0x02)


def describe(packet: Packet) -> str:
    """The packet in one line."""
    if packet.protocol == IPIP and packet.inner:
        return f"{packet.source} > {packet.destination} | {describe(packet.inner)}"
    source, destination = end(packet, 0), end(packet, 1)
    return f"{source} > {destination} {what(packet)}"


def end(packet: Packet, side: int) -> str:
    address = (packet.source, packet.destination)[side]
    if packet.ports is None or packet.protocol == ICMP:
        return str(address)
    return f"{address}:{packet.ports[side]}"


def what(packet: Packet) -> str:
    """Protocol, and what the lab's reader wants to know of it."""
    if packet.icmp:
        names = ICMP_NAMES if packet.version == 4 else ICMPV6_NAMES
        name = names.get(packet.icmp, "")
        mtu = f" mtu {packet.mtu}" if packet.mtu else ""
        identifier = f" id {packet.ports[0]}" if packet.ports else ""
        return f"{PROTOCOLS[packet.protocol]} {packet.icmp[0]}/{packet.icmp[1]} {name}{mtu}{identifier}"
    if packet.protocol == TCP and len(packet.payload) >= 20:
        flags = [name for bit, name in TCP_FLAGS if packet.payload[13] & bit]
        return f"TCP {' '.join(flags)}, {len(packet.raw)} B"
    return f"{PROTOCOLS.get(packet.protocol, packet.protocol)}, {len(packet.raw)} B"
