"""Words without which a pattern cannot match: looking for these first is many times faster than the pattern itself.

Reads the tree that `re` makes of a pattern. What is not understood is left out, so an answer is always safe to use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_LOOKING = (op.ASSERT, op.ASSERT_NOT)
_WIDE = (op.CATEGORY_SPACE, op.CATEGORY_NOT_DIGIT, op.CATEGORY_NOT_WORD)
_NEWLINE = 10
_SHORTEST = 2  # a single letter is in every line
_MOST = 8


@dataclass(frozen=True, slots=True)
class Literals:
    """Every match holds one of `words`; with `folded` these are in lower case, for text in lower case."""

    words: tuple[bytes, ...]
    folded: bool


def required_literals(pattern: bytes) -> Literals | None:
    """The words, or None when there are none worth looking for."""
    tree = _parser.parse(pattern)
    flags = tree.state.flags | _flags_inside(tree)
    best = _required(tree)
    if len(best) > _MOST or min(map(len, best)) < _SHORTEST:
        return None
    folded = bool(flags & re.IGNORECASE)
    return Literals(tuple(sorted({word.lower() for word in best} if folded else best)), folded)


def stays_in_line(pattern: bytes) -> bool:
    """Whether no match can reach over the end of a line: then many lines can be searched in one go."""
    tree = _parser.parse(pattern)
    flags = tree.state.flags | _flags_inside(tree)
    return not flags & re.DOTALL and not any(_leaves_line(kind, value) for kind, value in walk(tree))


def has_wide_set(pattern: bytes) -> bool:
    """Whether a set such as [äö] holds letters that are several bytes each."""
    sets = (value for kind, value in walk(_parser.parse(pattern)) if kind is op.IN)
    return any(kind is op.LITERAL and letter > 127 for members in sets for kind, letter in members)


def walk(tree: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Every part of a pattern, and the parts of these."""
    for kind, value in tree:
        yield kind, value
        for part in _parts(kind, value):
            yield from walk(part)


def _parts(kind: Any, value: Any) -> Sequence[Any]:
    if kind is op.BRANCH:
        return value[1]  # type: ignore[no-any-return]
    if kind is op.ATOMIC_GROUP:
        return [value]
    last = kind is op.SUBPATTERN or kind in _REPEATS or kind in _LOOKING
    return [value[-1]] if last else ()


def _flags_inside(tree: Sequence[Any]) -> int:
    """Flags that groups have for themselves: (?i:...)."""
    return reduce(or_, (value[1] for kind, value in walk(tree) if kind is op.SUBPATTERN), 0)


def _leaves_line(kind: Any, value: Any) -> bool:
    if kind is op.IN:
        return any(_holds_newline(k, v) for k, v in value)
    if kind is op.AT:
        return value in (op.AT_BEGINNING_STRING, op.AT_END_STRING)
    if kind is op.LITERAL:
        return bool(value == _NEWLINE)
    return not (kind in (op.ANY, op.GROUPREF, op.SUBPATTERN, op.BRANCH) or kind in _REPEATS or kind in _LOOKING)


def _holds_newline(kind: Any, value: Any) -> bool:
    """Of a member of a set; [^x] begins with one that says so."""
    if kind is op.RANGE:
        return bool(value[0] <= _NEWLINE <= value[1])
    if kind is op.LITERAL:
        return bool(value == _NEWLINE)
    return kind is not op.CATEGORY or value in _WIDE


def _required(tree: Sequence[Any]) -> set[bytes]:
    """Of all sets of which one word must be there, the one whose shortest word is the longest: at worst of none."""
    return max(_candidates(tree), key=lambda words: (min(map(len, words)), -len(words)))


def _candidates(tree: Sequence[Any]) -> Iterator[set[bytes]]:
    runs = {b""}  # what stands side by side, in every spelling
    for kind, value in _flat(tree):
        letters = _letters(kind, value)
        if letters is not None and len(runs) * len(letters) <= _MOST:
            runs = {run + letter for run in runs for letter in letters}
            continue
        if kind is op.AT or kind in _LOOKING:
            continue  # takes no room: what is before and after stands side by side
        yield runs
        runs = {b""}
        if kind is op.BRANCH:
            branches = [_required(branch) for branch in value[1]]
            yield set().union(*branches)
        elif kind in _REPEATS and value[0] > 0:
            yield from _candidates(value[2])
        elif kind is op.ATOMIC_GROUP:
            yield from _candidates(value)
    yield runs


def _letters(kind: Any, value: Any) -> list[bytes] | None:
    """The letters that may stand in one place, when they are few: of `x` and `[xy]`."""
    if kind is op.LITERAL:
        return [bytes([value])] if value < 256 else None
    if kind is op.IN and all(k is op.LITERAL for k, _ in value):
        return [bytes([letter]) for _, letter in value]
    return None


def _flat(tree: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """The tree without its groups, as long as these say nothing else: `status=(5)` is `status=5`."""
    for kind, value in tree:
        if kind is op.SUBPATTERN:
            yield from _flat(value[3])
        else:
            yield kind, value
