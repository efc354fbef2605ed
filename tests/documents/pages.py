"""README and docs/ taken apart: fenced blocks, the commands in them, links, anchors, words in `code`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LANGUAGES = {"sh", "console", "yaml", "json", "sql", "python", "http", "text", "mermaid"}
_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """One fenced block. `line` is that of its first line."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A line to type, continued lines joined, and the output shown below it (of ```console blocks)."""

    page: Path
    line: int
    text: str
    output: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """README.md and everything in docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page, without their indentation."""
    text, found = page.read_text(), []
    for match in _FENCE.finditer(text):
        indent = len(match[1])
        body = "".join(line[indent:] if line.strip() else line for line in match[3].splitlines(keepends=True))
        found.append(Block(page, text.count("\n", 0, match.start()) + 2, match[2], body))
    return tuple(found)


def commands(block: Block) -> list[Command]:
    """What a reader would type: every line of ```sh but comments, in ```console the lines after `$ `."""
    found: list[Command] = []
    shown, pending, start = block.language == "console", "", 0
    for number, line in enumerate(block.text.splitlines(), block.line):
        typed = line
        if not pending:
            if shown and not line.startswith("$ "):
                if found and line.strip():
                    found[-1] = replace(found[-1], output=(*found[-1].output, line))
                continue
            typed, start = line.removeprefix("$ ") if shown else line, number
            if not typed.strip() or typed.lstrip().startswith("#"):
                continue
        pending += typed
        if pending.endswith("\\"):
            pending = pending[:-1].rstrip() + " "
            continue
        found.append(Command(block.page, start, pending))
        pending = ""
    return found


@cache
def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Where its links and pictures lead."""
    return _LINK.findall(_CODE.sub("", prose(page)))


def words_in_code(page: Path) -> list[str]:
    """What stands between single backticks."""
    return _CODE.findall(prose(page))


@cache
def anchors(page: Path) -> frozenset[str]:
    """What `#...` may name: the headings, as GitHub makes anchors of them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ +(.+?) *#*$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
        if found[name]:
            found[f"{name}-{found[name]}"] = 0
    return frozenset(found)
