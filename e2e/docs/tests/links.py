"""What leads somewhere."""

import re

from pages.markdown import REPOSITORY, Page
from pages.suite import Stage

SUMMARY = REPOSITORY / "docs" / "SUMMARY.md"


def test_links(stage: Stage):
    """every link to a file finds it, and every link to a heading finds that"""
    anchors = {page.path: page.anchors() for page in stage.pages}
    broken = [f"{page.name}:{at}: {target}" for page in stage.pages for at, target in page.links
              if not leads_somewhere(page, target, anchors)]
    assert not broken, "links that lead nowhere:\n" + "\n".join(broken)


def leads_somewhere(page: Page, target: str, anchors: dict) -> bool:
    if re.match(r"(https?|mailto):", target):
        return True
    name, _, anchor = target.partition("#")
    path = (page.path.parent / name).resolve() if name else page.path
    if not path.exists() or not path.is_relative_to(REPOSITORY):
        return False
    return not anchor or anchor in anchors.get(path, set())


def test_summary(stage: Stage):
    """the book's table of contents has every page of docs/ once, and every page that a page of the book links to"""
    summary = next(page for page in stage.pages if page.path == SUMMARY)
    listed = [linked(summary, target) for _, target in summary.links]
    twice = sorted(str(path) for path in listed if listed.count(path) > 1)
    assert not twice, f"{summary.name} has these more than once: {twice}"
    own = {page.path for page in stage.pages if page.path.is_relative_to(SUMMARY.parent)} - {SUMMARY}
    missing = sorted(str(path.relative_to(REPOSITORY)) for path in own - set(listed))
    assert not missing, f"{summary.name} lacks {', '.join(missing)}"
    leave = [f"{page.name}:{at}: {target}" for page in stage.pages if page.path in listed for at, target in page.links
             if leaves_the_book(page, target, set(listed))]
    assert not leave, f"pages that {summary.name} lacks are linked:\n" + "\n".join(leave)


def leaves_the_book(page: Page, target: str, listed: set) -> bool:
    path = linked(page, target)
    return "://" not in target and path.suffix == ".md" and path not in listed


def linked(page: Page, target: str):
    name = target.partition("#")[0]
    return (page.path.parent / name).resolve() if name else page.path


def test_threats_name_tests(_stage: Stage):
    """in docs/security.md, what tries a claim is a test that there is, or a command"""
    written = (REPOSITORY / "docs" / "security.md").read_text()
    tried = [line.split("|")[1] for line in written.split("| tried by |")[1].split("\n\n")[0].splitlines()[2:]]
    held = [line.split("|")[-2] for line in written.split("| test |")[1].split("\n\n")[0].splitlines()[2:]]
    assert tried and held
    names = {word for cell in (*tried, *held) for word in re.findall(r"`([a-z-]+)`", cell)}
    lacking = names - tests_there_are()
    assert not lacking, f"no such tests: {sorted(lacking)}"


def tests_there_are() -> set[str]:
    """As `run` takes them: tests, and files of them."""
    files = [path for suite in ("fleet", "install") for path in (REPOSITORY / "e2e" / suite / "tests").glob("*.py")]
    names = {name for path in files for name in re.findall(r"^def test_(\w+)", path.read_text(), re.MULTILINE)}
    return {name.replace("_", "-") for name in names | {path.stem for path in files}}
