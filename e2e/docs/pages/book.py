"""The book: the repository's pages put together for mdBook, and the links of what it made followed.

mdBook wants all pages in one folder, and ours lie where they belong. So they are copied, each to its path in the
repository, with the files that they link to: all links between them stay as they are. But for one thing: of a README mdBook
makes an index, and does not change the links to it.
"""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .markdown import REPOSITORY, Page, read

DOCS = REPOSITORY / "docs"


def put_together(source: Path) -> None:
    """A fresh folder that mdBook can build from."""
    shutil.rmtree(source, ignore_errors=True)
    (source / "src").mkdir(parents=True)
    shutil.copy(DOCS / "book.toml", source)
    summary = read(DOCS / "SUMMARY.md")
    text = summary.path.read_text()
    for target in {target for _, target in summary.links}:
        page = read((DOCS / target).resolve())
        text = text.replace(f"]({target})", f"]({page.name})")
        copy_page(page, source / "src")
        for file in files_of(page):
            shutil.copy(file, place(file, source / "src"))
    (source / "src" / "SUMMARY.md").write_text(text)


def copy_page(page: Page, into: Path) -> None:
    to_index = re.sub(r"(\]\((?:[^()\s:]*/)?)README\.md(?=[#)])", r"\1index.md", page.path.read_text())
    place(page.path, into).write_text(to_index)


def files_of(page: Page) -> list[Path]:
    """The files beside pages that a page shows or links to."""
    found = [(page.path.parent / target.partition("#")[0]).resolve() for _, target in page.links if "://" not in target]
    return [path for path in found if path.is_file() and path.suffix != ".md"]


def place(file: Path, into: Path) -> Path:
    """Where a file goes: its folder is there then."""
    path = into / file.relative_to(REPOSITORY)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


class Links(HTMLParser):
    """The links, and the names that links may lead to, of a page."""

    def __init__(self, file: Path):
        super().__init__()
        self.targets: list[str] = []
        self.names: set[str] = set()
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.names |= {found[key] for key in ("id", "name") if found.get(key)}
        self.targets += [found[key] for key in ("href", "src") if found.get(key)]


def broken_links(made: Path) -> list[str]:
    """The links within the book that lead to no file, or to no heading of one."""
    pages = {file.resolve(): Links(file) for file in sorted(made.rglob("*.html"))}
    return [f"{file.relative_to(made.resolve())}: {target}" for file, page in pages.items()
            for target in page.targets if not leads_somewhere(file, target, pages, made)]


def leads_somewhere(file: Path, target: str, pages: dict[Path, Links], made: Path) -> bool:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return True
    root = made.resolve() if parts.path.startswith("/") else file.parent
    path = (root / unquote(parts.path).lstrip("/")).resolve() if parts.path else file
    if path.is_dir():
        path = path / "index.html"
    if not path.is_file():
        return False
    return not parts.fragment or path not in pages or unquote(parts.fragment) in pages[path].names
