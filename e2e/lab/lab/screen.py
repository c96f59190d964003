"""Words on the screen; colour only on a terminal."""

import os
import shutil
import sys

TERMINAL = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ


def painted(code: str):
    return lambda text: f"\033[{code}m{text}\033[0m" if TERMINAL else text


bold, dim = painted("1"), painted("2")
red, green, yellow, blue, cyan = painted("31"), painted("32"), painted("33"), painted("34"), painted("36")


def begin(text: str) -> None:
    """A line that `finish` ends."""
    print(text, end="  ", flush=True)


def finish(outcome: str, seconds: float, more: str = "") -> None:
    if TERMINAL:
        more = more[: max(0, shutil.get_terminal_size().columns - 60)]
    print(f"{outcome} {dim(f'{seconds:5.1f} s')}  {dim(more)}".rstrip(), flush=True)
