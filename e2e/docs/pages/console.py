"""Code blocks that show a terminal: `$ ` and a command, then what it prints.

A line that is only `...` stands for any lines, and `...` at the end of a line for any rest of it. A command goes on in the
next line after a `\\`.
"""

import re
import subprocess
from dataclasses import dataclass

from .markdown import Block


@dataclass
class Command:
    text: str
    at: int  # its line
    wanted: list[str]

    def misfit(self, printed: str) -> str | None:
        """The first line that is wanted and not there, or what is there and not wanted."""
        text = tidy(printed.splitlines())
        if re.fullmatch(pattern(self.wanted), text):
            return None
        fitting = [count for count in range(len(self.wanted) + 1) if re.match(pattern(self.wanted[:count]), text)]
        return f"not: {self.wanted[fitting[-1]]}" if fitting[-1] < len(self.wanted) else "more than that"


def commands(block: Block, page: str) -> list[Command]:
    found: list[Command] = []
    goes_on = False
    for at, line in enumerate(block.lines, start=block.at):
        if goes_on:
            found[-1].text += f"\n{line}"
        elif line.startswith("$ "):
            found.append(Command(line[2:], at, []))
        else:
            assert found, f"{page}:{at}: a console block begins with `$ ` and a command"
            found[-1].wanted.append(line)
            continue
        goes_on = line.endswith("\\")
    return found


def run(command: Command, environment: dict[str, str], folder) -> str:
    """What it prints, to whichever of its outputs."""
    done = subprocess.run(["bash", "-c", command.text], cwd=folder, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.stdout


def pattern(wanted: list[str]) -> str:
    lines = [line.rstrip() for line in wanted]
    while lines and not lines[-1]:
        lines.pop()
    return "".join(r"(?:.*\n)*?" if line.strip() == "..." else one_line(line) for line in lines)


def one_line(line: str) -> str:
    if line.endswith("..."):
        return re.escape(line.removesuffix("...")) + ".*\n"
    return re.escape(line) + "\n"


def tidy(lines: list[str]) -> str:
    """Without what nobody sees: spaces at ends of lines, empty lines at the end."""
    text = "\n".join(line.rstrip() for line in lines).rstrip("\n")
    return f"{text}\n" if text else ""
