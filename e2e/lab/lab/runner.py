"""Finds a suite's tests, runs each on a stage of its own, and says how it went."""

import argparse
import contextlib
import importlib
import inspect
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, ContextManager

from . import screen
from .lab import Missing
from .namespaces import FOLDER, lock_run, remove_leftovers, unlock_run

PATIENCE = 600
ATTEMPTS = 3  # of a test that the machine spoils


@dataclass(frozen=True)
class Test:
    name: str
    file: str
    shows: str
    function: Callable[[Any], None]


class Suite:
    """What a set of tests needs around it. `name`, `folder` and `run` are each suite's own."""

    name: str
    folder: Path  # it has the tests in tests/

    def check_machine(self) -> None:
        """Raises Missing for what the machine lacks."""

    def remove_leftovers(self) -> None:
        """Removes what killed runs left, but for namespaces and folders."""

    def run(self, folder: Path) -> ContextManager[None]:
        """What all tests of a run share."""
        raise NotImplementedError

    def stage(self, folder: Path) -> ContextManager[Any]:
        """What one test gets."""
        raise NotImplementedError

    def check_afterwards(self, stage: Any) -> None:
        """Fails if a test that passed left something behind, or did what none may."""

    def disturbance(self, stage: Any) -> str | None:
        """What this machine did, and nothing that is tested, so that a failure says nothing: the test is tried again then."""
        return None

    def summary(self) -> str:
        """What the whole run showed beyond its tests: lines, or nothing."""
        return ""

    def keep_evidence(self, stage: Any, folder: Path) -> None:
        """Writes what only the living stage knows into its folder."""

    def how_to_enter(self, stage: Any) -> str:
        """For a person who wants to look at a failed test."""
        return "There is nothing to enter."

    def shell(self, folder: Path) -> None:
        """A stage and a shell, and no test."""
        print(self.how_to_enter(None))

    def last_words(self, folder: Path) -> list[str]:
        """The lines of the evidence that are read first."""
        return []


@dataclass
class Failure:
    error: Exception
    disturbance: str | None


def find_tests(suite: Suite) -> list[Test]:
    """Every `test_*` function in tests/, files in alphabetical order, functions as they stand."""
    found = []
    for path in sorted((suite.folder / "tests").glob("*.py")):
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


def main(suite: Suite, doc: str) -> int:
    arguments = parse(doc)
    try:
        tests = chosen(find_tests(suite), arguments.names)
        if arguments.list:
            return list_tests(tests)
        suite.check_machine()
        tidy_up(suite)
        with workspace() as folder, suite.run(folder):
            return open_shell(suite, folder) if arguments.shell else run_all(suite, tests, folder, arguments.keep)
    except Missing as missing:
        print(f"{suite.name}: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{suite.name}: interrupted; everything it made is gone", file=sys.stderr)
        return 130


def parse(doc: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="tests to run; all of them by default")
    parser.add_argument("--list", action="store_true", help="list the tests")
    parser.add_argument("--shell", action="store_true", help="set everything up and open a shell; no test")
    parser.add_argument("--keep", action="store_true", help="hold what a failed test ran in until Enter is pressed")
    return parser.parse_args()


def list_tests(tests: list[Test]) -> int:
    width = max(len(test.name) for test in tests)
    for test in tests:
        print(f"{test.name:{width}}  {test.shows}")
    return 0


def tidy_up(suite: Suite) -> None:
    """Makes every way to end this run the same way, and removes what killed runs left."""
    end_by_exception()
    suite.remove_leftovers()
    if dead := remove_leftovers():
        print(f"removed what {dead} killed {'run' if dead == 1 else 'runs'} had left")


def end_by_exception() -> None:
    """Every signal that asks us to end is a KeyboardInterrupt: nothing is left undone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


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
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


def run_all(suite: Suite, tests: list[Test], folder: Path, keep: bool) -> int:
    started = time.monotonic()
    width = max(len(test.name) for test in tests)
    failed = []
    for number, test in enumerate(tests, start=1):
        if not run_one(suite, test, f"{number:2}/{len(tests)} {test.name:{width}}", folder / test.name, keep):
            failed.append(test.name)
    took = time.monotonic() - started
    print(f"\n{suite.summary()}")
    if failed:
        print(screen.red(f"{len(failed)} of {len(tests)} tests failed: {' '.join(failed)}") + f"  ({took:.0f} s)")
        print(f"evidence: {folder}")
        return 1
    print(screen.green(f"all {len(tests)} tests passed") + f"  ({took:.0f} s)")
    return 0


def run_one(suite: Suite, test: Test, title: str, folder: Path, keep: bool, attempts: int = ATTEMPTS) -> bool:
    """Runs a test, again if the machine spoilt it. Its evidence stays only if it fails."""
    screen.begin(title)
    started = time.monotonic()
    failure = attempt(suite, test, folder, keep)
    took = time.monotonic() - started
    if failure and failure.disturbance and attempts > 1:
        screen.finish(screen.yellow("again"), took, f"{failure.disturbance}; meanwhile: {words_of(failure.error)[0]}")
        shutil.rmtree(folder)
        return run_one(suite, test, title, folder, keep, attempts - 1)
    if failure:
        screen.finish(screen.red("FAILED"), took)
        print_evidence(suite, folder, failure.error)
        return False
    screen.finish(screen.green("ok"), took, test.shows)
    shutil.rmtree(folder)
    return True


def attempt(suite: Suite, test: Test, folder: Path, keep: bool) -> Failure | None:
    """One try, on a fresh stage."""
    folder.mkdir()
    disturbance = None
    try:
        with suite.stage(folder) as stage:
            try:
                with no_longer_than(PATIENCE):
                    test.function(stage)
                suite.check_afterwards(stage)
            except Missing:
                raise
            except Exception as error:
                disturbance = suite.disturbance(stage)
                keep_evidence(suite, stage, folder, keep, error)
                raise
    except Missing:
        folder.rmdir()
        raise
    except Exception as error:
        return Failure(error, disturbance)
    return None


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


def keep_evidence(suite: Suite, stage: Any, folder: Path, keep: bool, error: Exception) -> None:
    suite.keep_evidence(stage, folder)
    if keep:
        print(f"\n{error}\n{suite.how_to_enter(stage)}\nPress Enter to tear it down.")
        sys.stdin.readline()


def print_evidence(suite: Suite, folder: Path, error: Exception) -> None:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/" in frame.filename]
    for frame in frames[-2:]:
        print(f"    {Path(frame.filename).name}:{frame.lineno}: {frame.line}")
    if not isinstance(error, AssertionError) and not frames:
        traceback.print_exception(error)
    said = words_of(error)
    for line in said[:20] + ["..."] * (len(said) > 20):
        print(f"    {line}")
    for line in suite.last_words(folder):
        print(f"    {line}")
    print(f"    more in {folder}")


def words_of(error: Exception) -> list[str]:
    return (str(error) or type(error).__name__).splitlines()


def open_shell(suite: Suite, folder: Path) -> int:
    inside = folder / "shell"
    inside.mkdir()
    suite.shell(inside)
    shutil.rmtree(inside)
    return 0
