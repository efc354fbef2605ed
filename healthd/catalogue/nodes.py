"""YAML as a tree whose every node knows its line: what the reader makes and the rest of the room walks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(slots=True, eq=False)
class Scalar:
    """A single value as written. `plain` without quotes: only then can it mean a number, a boolean or nothing."""

    text: str
    file: str
    line: int
    plain: bool
    size: int = 1
    depth: int = 0


@dataclass(slots=True, eq=False)
class Sequence:
    """A list. `size` counts its nodes with aliases expanded, `depth` its levels."""

    file: str
    line: int
    items: list[Node] = field(default_factory=list)
    size: int = 1
    depth: int = 1


@dataclass(slots=True, eq=False)
class Mapping:
    """A mapping, its merge keys (`<<`) already applied."""

    file: str
    line: int
    pairs: list[tuple[Scalar, Node]] = field(default_factory=list)
    size: int = 1
    depth: int = 1

    def get(self, name: str) -> Node | None:
        """The value of a key."""
        return next((value for key, value in self.pairs if key.text == name), None)

    def key(self, name: str) -> Scalar | None:
        """The key itself, for its line."""
        return next((key for key, _ in self.pairs if key.text == name), None)


Node: TypeAlias = Scalar | Sequence | Mapping


def scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar below (and including) a node, keys left out."""
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from scalars(item)
    else:
        for _, value in node.pairs:
            yield from scalars(value)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a path leads: the node, the line to show, and the part of the path the document really has."""

    node: Node
    line: int
    path: tuple[str | int, ...]


def locate(node: Node, path: tuple[str | int, ...]) -> Spot:
    """Follow keys and indexes as far as they exist; steps the document does not have are skipped."""
    line, taken = node.line, []
    for step in path:
        if isinstance(node, Mapping) and (key := node.key(str(step))) is not None:
            child = node.get(str(step))
            node, line = (child, key.line) if child is not None else (node, key.line)
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            line = node.line
        else:
            continue
        taken.append(step)
    return Spot(node, line, tuple(taken))


def describe(node: Node) -> str:
    """A node as its author wrote it, short, for an error message."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    if node.plain and node.text in ("", "~", "null"):
        return "nothing"
    text = node.text if len(node.text) <= 60 else node.text[:57] + "..."
    return repr(text)
