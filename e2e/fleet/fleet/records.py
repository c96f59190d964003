"""What a flow carries: numbered records with a checksum of their own, so that each can be missed, and none mistaken."""

import struct
import zlib

HEADER = struct.Struct("!HBIH")  # flow, direction, number, length of the filling
CHECKSUM = struct.Struct("!I")
OVERHEAD = HEADER.size + CHECKSUM.size
FILLINGS = (0, 260, 1300, 40, 700)  # bytes, one after the other: small and large packets, none that has to be cut
PATTERN = bytes(number * 37 % 251 for number in range(2048))


class Damaged(Exception):
    """Bytes that are no record as it was sent."""


def encode(flow: int, way: int, number: int) -> bytes:
    size = FILLINGS[number % len(FILLINGS)]
    start = number % 500
    record = HEADER.pack(flow, way, number, size) + PATTERN[start : start + size]
    return record + CHECKSUM.pack(zlib.crc32(record))


def decode(record: bytes) -> tuple[int, int, int]:
    """Flow, direction and number."""
    if len(record) < OVERHEAD or CHECKSUM.unpack(record[-CHECKSUM.size :])[0] != zlib.crc32(record[: -CHECKSUM.size]):
        raise Damaged
    flow, way, number, size = HEADER.unpack_from(record)
    if len(record) != OVERHEAD + size:
        raise Damaged
    return flow, way, number


def cut_off(stream: bytearray) -> bytes | None:
    """Takes the first whole record off a byte stream, if there is one."""
    if len(stream) < HEADER.size:
        return None
    size = OVERHEAD + HEADER.unpack_from(stream)[3]
    if len(stream) < size:
        return None
    record = bytes(stream[:size])
    del stream[:size]
    return record
