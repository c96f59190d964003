"""Another time for one process: its CLOCK_REALTIME is moved, and nobody else's.

The machine's clock belongs to everybody on it, a time namespace has no CLOCK_REALTIME, and a static program loads no
library in between. But programs ask the kernel's vDSO, code that the kernel maps into each process: the process gets a
copy of its own once somebody writes to it.
Monotonic clocks stay as they are, as they do when a machine's time is set.
"""

import contextlib
import os
import platform
import signal
import struct
from pathlib import Path

SYMBOL = b"__vdso_clock_gettime"
DYNSYM = 11  # sh_type, elf.h

# clock_gettime(clock, time), x86-64: asks the kernel, and adds seconds to what it says of clock 0, CLOCK_REALTIME.
#   mov eax, 228; syscall; test edi, edi; jnz end; movabs rcx, SECONDS; add [rsi], rcx; end: ret
CODE = (bytes.fromhex("b8e4000000 0f05 85ff 750d 48b9"), bytes.fromhex("48010e c3"))


def jump(pid: int, seconds: int) -> None:
    """From now on this process's time is the machine's and so many seconds; 0 makes it right again."""
    assert platform.machine() == "x86_64", f"clocks can be moved on x86-64 only, and this is {platform.machine()}"
    start, end = vdso(pid)
    with stopped(pid), open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        place, size = function(memory.read(end - start))
        code = CODE[0] + struct.pack("<q", seconds) + CODE[1]
        assert len(code) <= size, f"the vDSO's function has only {size} bytes"
        memory.seek(start + place)
        memory.write(code)


def vdso(pid: int) -> tuple[int, int]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.endswith("[vdso]"):
            start, end = line.split()[0].split("-")
            return int(start, 16), int(end, 16)
    raise AssertionError(f"process {pid} has no vDSO")


def function(image: bytes) -> tuple[int, int]:
    """Where `SYMBOL` is in an ELF image of 64 bits, and how long."""
    (sections,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", image, sections + number * size) for number in range(count)]
    symbols = next(header for header in headers if header[1] == DYNSYM)
    names = headers[symbols[6]][4]
    for place in range(symbols[4], symbols[4] + symbols[5], 24):
        name, _, _, _, value, length = struct.unpack_from("<IBBHQQ", image, place)
        if image[names + name : image.index(b"\0", names + name)] == SYMBOL:
            return value, length
    raise AssertionError("the vDSO has no clock_gettime")


@contextlib.contextmanager
def stopped(pid: int):
    """No thread of it is between two instructions that change."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
