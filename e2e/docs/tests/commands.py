"""Commands that stand in pages."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from lab.lab import Missing
from pages import console
from pages.markdown import REPOSITORY, Block
from pages.suite import Stage

SHELL = {"sh", "bash"}


def test_what_commands_print(stage: Stage):
    """every command in a `console` block is run in the repository's root, and prints what stands below it"""
    environment = os.environ | {"PATH": f"{programs()}:{os.environ['PATH']}", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    found = [(page, command) for page, block in blocks(stage, {"console"}) for command in console.commands(block, page.name)]
    assert found, "no page has a console block"
    for page, command in found:
        printed = console.run(command, environment, REPOSITORY)
        misfit = command.misfit(printed)
        assert misfit is None, f"{page.name}:{command.at}: `{command.text}` prints {misfit}\n{printed}"


def test_shell_blocks(stage: Stage):
    """what is to be typed is bash, each `make` target exists, and so does every file that is named by its path"""
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    folders = {path.name for path in REPOSITORY.iterdir() if path.is_dir()} - {"target"}
    wrong = []
    for page, block in blocks(stage, SHELL):
        wrong += [f"{page.name}:{block.at}: {what}" for what in complaints(block, targets, folders, page.path.parent)]
    assert not wrong, "\n".join(wrong)


def complaints(block: Block, targets: set[str], folders: set[str], beside: Path) -> list[str]:
    parsed = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    found = [f"bash: {parsed.stderr.strip()}"] if parsed.returncode else []
    code = re.sub(r"(^|\s)#.*", "", block.text, flags=re.MULTILINE)
    made = re.findall(r"\bmake ((?:[\w.=-]+ ?)+)", code)
    named = {word for words in made for word in words.split() if "=" not in word}
    found += [f"the Makefile has no {target}" for target in sorted(named - targets)]
    paths = re.findall(r"(?<![\w/.:=-])((?:%s)/[\w./-]*\w)" % "|".join(map(re.escape, sorted(folders))), code)
    found += [f"there is no {path}" for path in paths if not (REPOSITORY / path).exists() and not (beside / path).exists()]
    return found


def blocks(stage: Stage, languages: set[str]):
    return [(page, block) for page in stage.pages for block in page.blocks if block.info and block.info[0] in languages]


def programs() -> Path:
    folder = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release"
    lacking = [name for name in ("culvertctl", "culvert-relay", "culvert-speaker") if not os.access(folder / name, os.X_OK)]
    if lacking:
        raise Missing(f"{', '.join(lacking)} not in {folder}: run `make build`")
    if shutil.which("bash") is None:
        raise Missing("bash is not installed")
    return folder
