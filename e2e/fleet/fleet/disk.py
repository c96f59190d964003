"""A folder of a container on a disk that is full: a small file system is mounted over it, in the container alone."""

import contextlib
import ctypes
import os
import traceback
from typing import Callable

CLONE_NEWNS = 0x20000
DETACH = 2  # MNT_DETACH
ROOM = b"size=16k"
libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def full(pid: int, folder: str):
    """The folder is empty, and nothing can be written to it, as the process with this pid sees it."""
    inside(pid, lambda: cover(folder))
    try:
        yield
    finally:
        inside(pid, lambda: check(libc.umount2(folder.encode(), DETACH), "umount"))


def cover(folder: str) -> None:
    check(libc.mount(b"full", folder.encode(), b"tmpfs", 0, ROOM), "mount")
    with contextlib.suppress(OSError), open(f"{folder}/filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def inside(pid: int, work: Callable[[], None]) -> None:
    """Works where that process sees its files. Only a process of one thread may go there, so a child does."""
    there = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    child = os.fork()
    if child == 0:
        try:
            check(libc.setns(there, CLONE_NEWNS), "setns")
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(there)
    assert os.waitpid(child, 0)[1] == 0, f"where process {pid} sees its files, something failed"


def check(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what} failed")
    return result
