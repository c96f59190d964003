"""Markdown as this repository writes it: headings with `#`, fenced code blocks, inline links."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

FENCE = re.compile(r"\s*(`{3,})(.*)")
HEADING = re.compile(r"(#{1,6}) +(.*?) *#*")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True)
class Block:
    """A fenced code block: its info string (`sh fleet`), its lines, and the number of the first of them."""

    info: tuple[str, ...]
    lines: tuple[str, ...]
    at: int

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Heading:
    level: int
    text: str
    at: int


@dataclass
class Page:
    """A file, taken apart. Line numbers count from 1."""

    path: Path
    blocks: list[Block] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    links: list[tuple[int, str]] = field(default_factory=list)
    prose: list[tuple[int, str]] = field(default_factory=list)  # lines that are in no block

    @property
    def name(self) -> str:
        return str(self.path.relative_to(REPOSITORY))

    def anchors(self) -> set[str]:
        """What `#...` may lead to: as GitHub and mdBook name headings, the second of a name with -1."""
        seen: dict[str, int] = {}
        found = set()
        for heading in self.headings:
            anchor = anchor_of(heading.text)
            count = seen.get(anchor, 0)
            seen[anchor] = count + 1
            found.add(f"{anchor}-{count}" if count else anchor)
        return found


def find_pages() -> list[Page]:
    """Every Markdown file of the repository, but in folders that are made."""
    found = []
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if name != "target" and not name.startswith(".")]
        found += [Path(folder) / name for name in files if name.endswith(".md")]
    return [read(path) for path in sorted(found)]


def read(path: Path) -> Page:
    page = Page(path)
    fence, info, lines, begun = "", "", [], 0
    for at, line in enumerate(path.read_text().splitlines(), start=1):
        match = FENCE.fullmatch(line)
        if fence:
            if match and match[1] == fence and not match[2].strip():
                page.blocks.append(Block(tuple(info.split()), tuple(lines), begun))
                fence = ""
            else:
                lines.append(line)
        elif match:
            fence, info, lines, begun = match[1], match[2], [], at + 1
        else:
            take(page, at, line)
    assert not fence, f"{page.name}:{begun - 1}: this code block has no end"
    return page


def take(page: Page, at: int, line: str) -> None:
    page.prose.append((at, line))
    if heading := HEADING.fullmatch(line):
        page.headings.append(Heading(len(heading[1]), heading[2], at))
    page.links.extend((at, target) for target in LINK.findall(CODE.sub("code", line)))


def anchor_of(heading: str) -> str:
    plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
    return plain.replace(" ", "-")
