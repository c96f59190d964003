"""The documentation's tests: all read the same pages, none changes anything."""

import contextlib
from pathlib import Path
from typing import ContextManager

from lab.lab import become_root

from .markdown import Page, find_pages

HERE = Path(__file__).resolve().parent.parent


class Stage:
    """What a test gets: every page of the repository, and a folder."""

    def __init__(self, pages: list[Page], folder: Path):
        self.pages = pages
        self.folder = folder


class DocsSuite:
    name = "docs"
    folder = HERE

    def check_machine(self) -> None:
        """The runner keeps its marks where only root may write. Tests that run programs say which are missing."""
        become_root()

    def remove_leftovers(self) -> None:
        """There are none."""

    @contextlib.contextmanager
    def run(self, _folder: Path):
        self.pages = find_pages()
        yield

    def stage(self, folder: Path) -> ContextManager[Stage]:
        return contextlib.nullcontext(Stage(self.pages, folder))

    def check_afterwards(self, _stage: Stage) -> None:
        """Nothing was changed."""

    def summary(self) -> str:
        return ""

    def keep_evidence(self, _stage: Stage, _folder: Path) -> None:
        """A failure says it all."""

    def how_to_enter(self, _stage: Stage) -> str:
        return "There is nothing to enter."

    def shell(self, _folder: Path) -> None:
        print(self.how_to_enter(None))

    def last_words(self, _folder: Path) -> list[str]:
        return []
