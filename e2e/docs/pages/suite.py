"""The documentation's tests: all read the same pages, none changes anything."""

import contextlib
from pathlib import Path
from typing import ContextManager

from lab.lab import become_root
from lab.runner import Suite

from .markdown import Page, find_pages

HERE = Path(__file__).resolve().parent.parent


class Stage:
    """What a test gets: every page of the repository, and a folder."""

    def __init__(self, pages: list[Page], folder: Path):
        self.pages = pages
        self.folder = folder


class DocsSuite(Suite):
    name = "docs"
    folder = HERE

    def check_machine(self) -> None:
        """The runner keeps its marks where only root may write. Tests that run programs say which are missing."""
        become_root()

    @contextlib.contextmanager
    def run(self, _folder: Path):
        self.pages = find_pages()
        yield

    def stage(self, folder: Path) -> ContextManager[Stage]:
        return contextlib.nullcontext(Stage(self.pages, folder))
