"""Finds the tests, runs each in a lab of its own, and says how it went."""

import contextlib
import importlib
import inspect
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import arithmetic, screen
from .arithmetic import Arithmetic
from .lab import LAB, Lab, Missing, check_machine, find_binary
from .namespaces import FOLDER, lock_run, remove_leftovers, unlock_run
from .recorder import Recorder, recording
from .topology import __doc__ as MAP

PATIENCE = 300


@dataclass(frozen=True)
class Test:
    name: str
    file: str
    shows: str
    function: Callable[[Lab], None]


def find_tests() -> list[Test]:
    """Every `test_*` function in tests/, files in alphabetical order, functions as they stand."""
    found = []
    for path in sorted((LAB / "tests").glob("*.py")):
        module = importlib.import_module(f"tests.{path.stem}")
        for name, function in vars(module).items():
            if name.startswith("test_") and inspect.isfunction(function):
                shows = inspect.getdoc(function).splitlines()[0]
                found.append(Test(dashed(name.removeprefix("test_")), dashed(path.stem), shows, function))
    return found


def dashed(name: str) -> str:
    return name.replace("_", "-")


def chosen(tests: list[Test], names: list[str]) -> list[Test]:
    """The tests of these names, or all of them."""
    known = {test.name for test in tests} | {test.file for test in tests}
    names = [dashed(name) for name in names]
    if unknown := [name for name in names if name not in known]:
        raise Missing(f"no such test: {', '.join(unknown)} (`run --list` names them)")
    return [test for test in tests if not names or test.name in names or test.file in names]


def main(arguments) -> int:
    try:
        tests = chosen(find_tests(), arguments.names)
        if arguments.list:
            return list_tests(tests)
        check_machine()
        binary = find_binary()
        tidy_up()
        with workspace() as folder:
            copied = copy_binary(binary, folder)
            return shell(folder, copied) if arguments.shell else run_all(tests, folder, copied, arguments.keep)
    except Missing as missing:
        print(f"lab: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nlab: interrupted; everything it made is gone", file=sys.stderr)
        return 130


def list_tests(tests: list[Test]) -> int:
    width = max(len(test.name) for test in tests)
    for test in tests:
        print(f"{test.name:{width}}  {test.shows}")
    return 0


def tidy_up() -> None:
    """Makes every way to end this run the same way, and removes what killed runs left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    if dead := remove_leftovers():
        print(f"removed what {dead} killed {'run' if dead == 1 else 'runs'} had left")


@contextlib.contextmanager
def workspace():
    """A folder for this run, gone afterwards if nothing in it is worth reading."""
    folder = Path(tempfile.mkdtemp(prefix=FOLDER))
    folder.chmod(0o755)  # a relay that is not root reads from here
    lock = lock_run(os.getpid(), folder)
    try:
        yield folder
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        raise
    finally:
        unlock_run(lock)
        shutil.rmtree(folder / "bin", ignore_errors=True)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


def copy_binary(binary: Path, folder: Path) -> Path:
    """A relay that any user may run, and that stays the same while a build goes on."""
    (folder / "bin").mkdir()
    return Path(shutil.copy(binary, folder / "bin" / "culvert-relay"))


def run_all(tests: list[Test], folder: Path, binary: Path, keep: bool) -> int:
    started = time.monotonic()
    width = max(len(test.name) for test in tests)
    failed, emitted = [], Arithmetic()
    for number, test in enumerate(tests, start=1):
        screen.begin(f"{number:2}/{len(tests)} {test.name:{width}}")
        if not run_one(test, folder / test.name, binary, keep, emitted):
            failed.append(test.name)
    took = time.monotonic() - started
    print(f"\n{emitted}\n")
    if failed:
        print(screen.red(f"{len(failed)} of {len(tests)} tests failed: {' '.join(failed)}") + f"  ({took:.0f} s)")
        print(f"evidence: {folder}")
        return 1
    print(screen.green(f"all {len(tests)} tests passed") + f"  ({took:.0f} s)")
    return 0


def run_one(test: Test, folder: Path, binary: Path, keep: bool, emitted: Arithmetic) -> bool:
    """Runs a test in a fresh lab, and checks all that its relays emitted. Its evidence stays only if it fails."""
    folder.mkdir()
    started = time.monotonic()
    try:
        with (
            Lab(folder, binary) as lab,
            recording(lab.relay_node, folder / "emitted.pcap") as recorder,
            evidence(lab, keep),
        ):
            with no_longer_than(PATIENCE):
                test.function(lab)
            lab.check_nothing_is_left()
            recorder.stop()
        check_emitted(recorder, emitted)
    except Missing:
        folder.rmdir()
        raise
    except Exception as error:
        screen.finish(screen.red("FAILED"), time.monotonic() - started)
        print_evidence(folder, error)
        return False
    screen.finish(screen.green("ok"), time.monotonic() - started, test.shows)
    shutil.rmtree(folder)
    return True


def check_emitted(recorder: Recorder, emitted: Arithmetic) -> None:
    """Has tshark go over what was recorded, and adds that to what the whole run emitted."""
    if recorder.count == 0:
        return
    found = arithmetic.check(recorder.file)
    emitted.add(found)
    assert found.packets == recorder.count, f"tshark read {found.packets} packets, {recorder.count} were recorded"
    assert not found.wrong, "\n".join(["the relay emitted what is wrong (emitted.pcap):", *found.wrong])


@contextlib.contextmanager
def no_longer_than(seconds: int):
    """Ends what hangs. It is far more than any test takes: no test is about time."""

    def give_up(*_):
        raise TimeoutError(f"the test hangs: it was ended after {seconds} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


@contextlib.contextmanager
def evidence(lab: Lab, keep: bool):
    try:
        yield
    except Exception as error:
        lab.keep_evidence()
        if keep:
            print(f"\n{error}\n{how_to_enter(lab)}\nPress Enter to tear it down.")
            sys.stdin.readline()
        raise


def print_evidence(folder: Path, error: Exception) -> None:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/" in frame.filename]
    for frame in frames[-2:]:
        print(f"    {Path(frame.filename).name}:{frame.lineno}: {frame.line}")
    if not isinstance(error, AssertionError) and not frames:
        traceback.print_exception(error)
    said = (str(error) or type(error).__name__).splitlines()
    for line in said[:20] + ["..."] * (len(said) > 20):
        print(f"    {line}")
    for log in sorted(folder.glob("relay*/relay.log")):
        print(f"    last words of {log.parent.name}:")
        print("".join(f"      {line}\n" for line in log.read_text().splitlines()[-10:]), end="")
    for metrics in sorted(folder.glob("relay*/metrics")):
        lines = [line for line in metrics.read_text().splitlines() if "dropped_packets" in line and line[0] != "#"]
        print("".join(f"      {line}\n" for line in lines), end="")
    print(f"    more in {folder}")


def how_to_enter(lab: Lab) -> str:
    example = lab.customers[0].lan.name
    return f"{MAP}\nThe lab is up. Enter a node: ip netns exec {example} bash"


def shell(folder: Path, binary: Path) -> int:
    """The lab with a relay, for a person to look around in."""
    inside = folder / "shell"
    inside.mkdir()
    with Lab(inside, binary) as lab, lab.relay():
        names = " ".join(node.name for node in lab.network.nodes)
        print(f"{how_to_enter(lab)}\nnodes: {names}\nThis shell is in the relay's node; leave it to tear the lab down.")
        subprocess.run(lab.relay_node.argv(os.environ.get("SHELL", "/bin/sh")))
    shutil.rmtree(inside)
    return 0
