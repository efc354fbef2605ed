"""What is wrong with a catalogue, and where: collected, never raised one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

_SHOWN = 2000  # characters of a message
_FEW, _NEIGHBOURS = 200, 10


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `line` counts from 1 (0: the file or folder as a whole). `hint` says what would be right."""

    file: str
    line: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        told = shown(self.message) + (f"; {shown(self.hint)}" if self.hint else "")
        return f"{shown(place)}: {told}"


def shown(text: str) -> str:
    """A text that quotes what somebody wrote, on one line: nothing in it moves a cursor or fills a screen."""
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    )


class CatalogueError(Exception):
    """A catalogue that cannot be used. `problems` holds everything wrong with it, sorted by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems), key=lambda p: (p.file, p.line, p.message)))
        super().__init__("\n".join(map(str, self.problems)))


class RefusedError(ValueError):
    """A value that is not accepted, with a hint at what would be. `key` says which of several it is about."""

    def __init__(self, message: str, hint: str = "", key: str = "") -> None:
        super().__init__(message)
        self.hint, self.key = hint, key


@contextmanager
def blaming(key: str) -> Iterator[None]:
    """Whatever is refused inside is about `key`."""
    try:
        yield
    except RefusedError as refusal:
        raise RefusedError(str(refusal), refusal.hint, refusal.key or key) from None


def did_you_mean(word: str, known: Iterable[str], what: str = "known") -> str:
    """A hint: the nearest of `known`, or a few of them when nothing is near, or nothing."""
    names = list(dict.fromkeys(known))
    if (near := nearest(word, names)) is not None:
        return f"did you mean {near!r}?"
    return f"{what}: {listing(names)}" if names else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    names = tuple(known)
    if len(names) > _FEW:
        return _nearest_of_many(word.casefold(), _index(names))
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


@dataclass(frozen=True, slots=True)
class _Index:
    """Many names, by how they are folded; these in order, and in the order of their ends."""

    folded: dict[str, str]
    ordered: list[str]
    backwards: list[str]


@lru_cache(maxsize=8)
def _index(names: tuple[str, ...]) -> _Index:
    folded = {name.casefold(): name for name in names}
    return _Index(folded, sorted(folded), sorted(name[::-1] for name in folded))


def _nearest_of_many(word: str, index: _Index) -> str | None:
    """Of those that begin or end most like it: comparing with every one takes minutes where thousands are wrong."""
    near = [*_around(index.ordered, word), *(name[::-1] for name in _around(index.backwards, word[::-1]))]
    found = get_close_matches(word, near, n=1, cutoff=0.6)
    return index.folded[found[0]] if found else None


def _around(ordered: list[str], word: str) -> list[str]:
    place = bisect_left(ordered, word)
    return ordered[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS]


def listing(names: Sequence[str], most: int = 12) -> str:
    """`a, b, c`, cut short after `most`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
