"""Writes down every packet that relays emit: what they write into their TUN devices, before the kernel has it.

There a packet is as the relay made it. No offload hides anything: a TUN without them takes and gives only finished
checksums and single packets, whatever the senders' devices leave for later.
"""

import contextlib
import ctypes
import socket
import struct
import threading
import time
from pathlib import Path

from .namespaces import Namespace
from .wire import BUFFER, ETH_P_ALL, PACKET_OUTGOING, PCAP_HEADER, SO_RCVBUFFORCE, missed, write_packet

SO_ATTACH_FILTER = 26
ARPHRD_NONE = 0xFFFE  # the hardware type of a TUN
# Classic BPF, linux/filter.h: where the kernel offers a packet's metadata, and four instructions.
PACKET_TYPE, HARDWARE_TYPE = 0xFFFFF000 + 4, 0xFFFFF000 + 28
LOAD_HALF, LOAD_BYTE, JUMP_IF_EQUAL, RETURN = 0x28, 0x30, 0x15, 0x06
RECEIVED_FROM_TUN = [
    (LOAD_HALF, 0, 0, HARDWARE_TYPE),
    (JUMP_IF_EQUAL, 0, 3, ARPHRD_NONE),
    (LOAD_BYTE, 0, 0, PACKET_TYPE),
    (JUMP_IF_EQUAL, 1, 0, PACKET_OUTGOING),
    (RETURN, 0, 0, 1 << 18),
    (RETURN, 0, 0, 0),
]
NOTHING = [(RETURN, 0, 0, 0)]


class Recorder:
    """Writes a capture file until it is stopped. Devices that come later are heard from their first packet on."""

    def __init__(self, namespace: Namespace, file: Path):
        self.file = file
        self.count = 0
        self.going = True
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        attach(self.socket, NOTHING)
        self.empty()
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 * BUFFER)
        attach(self.socket, RECEIVED_FROM_TUN)
        self.out = open(file, "wb", buffering=1 << 20)
        self.out.write(PCAP_HEADER)
        self.thread = threading.Thread(target=self.record, daemon=True)
        self.thread.start()

    def empty(self) -> None:
        """Forgets what other devices brought before there was a filter."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(1)
        missed(self.socket)

    def record(self) -> None:
        packet = memoryview(bytearray(1 << 17))
        self.socket.settimeout(0.05)
        while True:
            try:
                length = self.socket.recv_into(packet)
            except TimeoutError:
                if self.going:
                    continue
                return
            write_packet(self.out, packet[:length], time.time())
            self.count += 1

    def stop(self) -> None:
        """Ends it; everything that was emitted until now is in the file afterwards."""
        self.going = False
        attach(self.socket, NOTHING)
        self.thread.join()
        self.out.close()
        lost = missed(self.socket)
        self.socket.close()
        assert lost == 0, f"{lost} packets of the relay went unrecorded, so they cannot be checked"


@contextlib.contextmanager
def recording(namespace: Namespace, file: Path):
    recorder = Recorder(namespace, file)
    try:
        yield recorder
    finally:
        if recorder.going:
            recorder.stop()


def attach(to: socket.socket, program: list[tuple[int, int, int, int]]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    to.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
