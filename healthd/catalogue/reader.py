"""One YAML file in, one tree of nodes out; whatever the bytes, all that can go wrong is a list of problems.

The tree is built from parser events rather than by PyYAML's composer: that recurses in C without a limit, so a file of
brackets would end the process. Plain words keep their text (`on`, `yes` and `09:30` are not booleans or numbers).
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from healthd.catalogue.nodes import Mapping, Node, Scalar, Sequence
from healthd.catalogue.problems import Problem, did_you_mean

MAX_BYTES = 20_000_000
MAX_DEPTH = 100
# aliases may make a file this many times larger, and any file this large
MAX_GROWTH, FREE_SIZE = 20, 100_000

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + t for t in ("int", "float", "bool", "null"))
_KNOWN_TAGS = {
    yaml.ScalarEvent: _PLAIN_TAGS | {_TAG + "str", "!"},
    yaml.SequenceStartEvent: frozenset({_TAG + "seq", "!"}),
    yaml.MappingStartEvent: frozenset({_TAG + "map", "!"}),
}


class _BrokenFileError(Exception):
    """The file cannot be read any further."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.message, self.hint = line, message, hint


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its top-level mapping (None if unusable), what is wrong with it, and its bytes."""

    root: Mapping | None
    problems: list[Problem]
    data: bytes = b""


def read(path: Path, shown: str) -> Document:
    """Read one file. `shown` is its name in messages."""
    problems: list[Problem] = []
    data = b""
    try:
        data = _bytes(path)
        root = _Composer(shown, problems).compose(data)
    except _BrokenFileError as broken:
        return Document(None, [*problems, Problem(shown, broken.line, broken.message, broken.hint)])
    except yaml.MarkedYAMLError as error:
        return Document(None, [*problems, _syntax(error, shown, data.decode(errors="replace").splitlines())])
    except yaml.reader.ReaderError as error:
        line = data.count(b"\n", 0, error.position) + 1
        return Document(None, [Problem(shown, line, f"not text: {error.reason}", "expected YAML in UTF-8")])
    return Document(root, problems, data)


def _bytes(path: Path) -> bytes:
    try:
        # a device or a pipe would be waited for, or have no end, whatever its size is said to be
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _BrokenFileError(0, "is not a file")
            data = file.read(MAX_BYTES + 1) or b""  # None: nothing yet, as from the kernel's log
            size = max(len(data), os.fstat(file.fileno()).st_size)
        if size > MAX_BYTES:
            raise _BrokenFileError(
                0, f"{size / 1e6:.0f} MB is more than the {MAX_BYTES / 1e6:.0f} MB a catalogue file may have"
            )
    except OSError as error:
        raise _BrokenFileError(0, f"cannot be read: {error.strerror or error}") from None
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16 with its mark is YAML too
        try:
            data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise _BrokenFileError(line, "not UTF-8", "save the file as UTF-8") from None
    return data


class _Named(io.BytesIO):
    name = "catalogue"


class _Composer:
    """Builds nodes from events with a stack of its own."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self.anchors: dict[str, Node | None] = {}  # None while still open
        self.count = 0
        self.merged = 0  # keys that << has brought

    def compose(self, data: bytes) -> Mapping:
        parser = yaml.cyaml.CParser(_Named(data))  # type: ignore[attr-defined]
        root: Node | None = None
        stack: list[tuple[Sequence | Mapping, list[Node], str | None]] = []
        documents = 0
        next_event: Callable[[], Any] = parser.get_event
        while (event := next_event()) is not None:
            kind = type(event)
            if kind is yaml.ScalarEvent or kind is yaml.AliasEvent:
                node = self._scalar(event) if kind is yaml.ScalarEvent else self._alias(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                stack.append((self._open(event, len(stack)), [], event.anchor))
                continue
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                container, children, anchor = stack.pop()
                node = self._close(container, children, anchor)
            else:
                documents += kind is yaml.DocumentStartEvent
                if documents > 1:
                    raise _BrokenFileError(
                        event.start_mark.line + 1, "a second YAML document begins here", "write one document per file"
                    )
                continue
            if stack:
                stack[-1][1].append(node)
            else:
                root = node
        return self._root(root)

    def _root(self, root: Node | None) -> Mapping:
        if root is None or (isinstance(root, Scalar) and root.plain and root.text in ("", "~", "null")):
            raise _BrokenFileError(1, "the file is empty", "expected sections such as system, checks or thresholds")
        if not isinstance(root, Mapping):
            what = "a list" if isinstance(root, Sequence) else "a single value"
            raise _BrokenFileError(root.line, f"expected sections such as checks:, got {what}")
        return root

    def _scalar(self, event: Any) -> Scalar:
        self.count += 1
        plain: bool = event.implicit[0]
        if event.tag is not None:
            self._check_tag(event)
            plain = event.tag in _PLAIN_TAGS
        node = Scalar(event.value, self.file, event.start_mark.line + 1, plain)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        self.count += 1
        line = event.start_mark.line + 1
        if event.anchor not in self.anchors:
            hint = did_you_mean(event.anchor, self.anchors, "anchors of this file")
            raise _BrokenFileError(
                line, f"unknown alias *{event.anchor}", hint or 'a value that begins with * needs quotes: "*"'
            )
        node = self.anchors[event.anchor]
        if node is None:
            raise _BrokenFileError(line, f"the alias *{event.anchor} refers to itself")
        return node

    def _open(self, event: Any, depth: int) -> Sequence | Mapping:
        self.count += 1
        line = event.start_mark.line + 1
        if depth >= MAX_DEPTH:
            raise _BrokenFileError(line, f"nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None:
            self._check_tag(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        return Mapping(self.file, line) if type(event) is yaml.MappingStartEvent else Sequence(self.file, line)

    def _check_tag(self, event: Any) -> None:
        if event.tag not in _KNOWN_TAGS[type(event)]:
            tag = event.tag.removeprefix(_TAG)
            hint = 'a condition that begins with ! needs quotes: "!= x"' if tag.startswith("!") else ""
            self._problem(event.start_mark.line + 1, f"unknown YAML tag {tag}", hint)

    def _close(self, container: Sequence | Mapping, children: list[Node], anchor: str | None) -> Node:
        if isinstance(container, Sequence):
            container.items = children
        else:
            container.pairs = self._pairs(children)
        for child in children:
            container.size += child.size
            if child.depth >= container.depth:
                container.depth = child.depth + 1
        if container.size > FREE_SIZE + MAX_GROWTH * self.count:
            raise _BrokenFileError(container.line, "its aliases expand to more than a catalogue can sensibly hold")
        if container.depth > MAX_DEPTH:
            raise _BrokenFileError(container.line, f"nested deeper than {MAX_DEPTH} levels")
        if anchor is not None:
            self.anchors[anchor] = container
        return container

    def _pairs(self, children: list[Node]) -> list[tuple[Scalar, Node]]:
        own: dict[str, tuple[Scalar, Node]] = {}
        merged: list[Mapping] = []
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._problem(key.line, "a key must be a word", "a text that begins with { or [ needs quotes")
            elif key.text == "<<" and key.plain:
                merged += self._merged(value)
            elif (first := own.get(key.text)) is not None:
                self._problem(key.line, f"duplicate key {key.text!r}", f"first written in line {first[0].line}")
            else:
                own[key.text] = (key, value)
        self.merged += sum(len(source.pairs) for source in merged)
        if self.merged > FREE_SIZE + MAX_GROWTH * self.count:
            raise _BrokenFileError(merged[-1].line, "its aliases expand to more than a catalogue can sensibly hold")
        for source in merged:
            for key, value in source.pairs:
                own.setdefault(key.text, (key, value))
        return list(own.values())

    def _merged(self, value: Node) -> list[Mapping]:
        sources = value.items if isinstance(value, Sequence) else [value]
        found = [source for source in sources if isinstance(source, Mapping)]
        if len(found) < len(sources):
            self._problem(value.line, "<< merges mappings only", "expected <<: *anchor or <<: [*one, *two]")
        return found

    def _problem(self, line: int, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.file, line, message, hint))


# what people write by mistake, seen in the line at fault, and what they meant
_MISTAKES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^\s*\t"), "indent with spaces, not tabs"),
    (re.compile(r"[:,-]\s*(>=?|<=?|!=)\s*[\w\d.]"), 'conditions need quotes: ">= 80%"'),
    (re.compile(r"[:-]\s*\*(/\d+)?\s"), 'cron expressions need quotes: "*/5 * * * *"'),
    (re.compile(r"[{\[,].*\$\{"), '${...} inside { } or [ ] needs quotes: {url: "${URL}"}'),
    (re.compile(r"[:,]\s*(not )?in \["), 'conditions need quotes: "in [a, b]"'),
    (re.compile(r"[:-]\s*[@%`]"), "a text that begins with @, % or ` needs quotes"),
    (re.compile(r":\s+[^\"'{\[#]*:\s"), "a text that holds ': ' needs quotes"),
)


def _syntax(error: yaml.MarkedYAMLError, file: str, lines: list[str]) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    text = lines[line - 1][:1000] if line <= len(lines) else ""
    hint = next((hint for pattern, hint in _MISTAKES if pattern.search(text)), "")
    parts = [part for part in (error.context, error.problem) if part]
    message = "not valid YAML: " + ", ".join(parts)
    if error.context_mark and error.context_mark.line + 1 != line:
        message += f" (begun in line {error.context_mark.line + 1})"
    return Problem(file, min(line, max(len(lines), 1)), message, hint)
