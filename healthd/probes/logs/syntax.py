"""Regular expressions on bytes as trees: what `re` makes of a pattern before it compiles it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from healthd.model.pattern_trees import LOOKING, REPEATS, parts, walk

__all__ = ["LOOKING", "NEWLINE", "REPEATS", "category", "has_wide_set", "letters", "members", "parse", "parts", "walk"]

NEWLINE = 10

Letters = frozenset[int]  # the bytes that may stand in one place
_EVERY = frozenset(range(256))
_CATEGORIES = {
    op.CATEGORY_DIGIT: rb"\d", op.CATEGORY_NOT_DIGIT: rb"\D", op.CATEGORY_SPACE: rb"\s",
    op.CATEGORY_NOT_SPACE: rb"\S", op.CATEGORY_WORD: rb"\w", op.CATEGORY_NOT_WORD: rb"\W",
}  # fmt: skip


def parse(pattern: bytes) -> Any:
    """The tree of a pattern for lines: ^ and $ stand for the ends of each. A new one each time. Raises re.error."""
    return _parser.parse(pattern, re.MULTILINE)


def has_wide_set(pattern: bytes) -> bool:
    """Whether a set such as [äö] holds letters that are several bytes each."""
    sets = (value for kind, value in walk(parse(pattern)) if kind is op.IN)
    return any(kind is op.LITERAL and letter > 127 for members in sets for kind, letter in members)


def letters(kind: Any, value: Any, flags: int) -> Letters | None:
    """What may stand in the one place this takes; None when it is not one that takes one place. Never a newline."""
    if kind is op.LITERAL:
        found = _folded([value], flags)
    elif kind is op.NOT_LITERAL:
        found = _EVERY - _folded([value], flags)
    elif kind is op.ANY:
        found = _EVERY
    elif kind is op.IN:
        found = _folded(members(value), flags)
        found = _EVERY - found if value[0][0] is op.NEGATE else found
    else:
        return None
    return found - {NEWLINE}


def members(value: Sequence[Any]) -> Letters:
    """What the members of a set [...] stand for, not heeding [^...]."""
    found: set[int] = set()
    for kind, what in value:
        if kind is op.LITERAL:
            found.add(what)
        elif kind is op.RANGE:
            found.update(range(what[0], what[1] + 1))
        elif kind is op.CATEGORY:
            found |= category(what)
    return frozenset(found)


@cache
def category(kind: Any) -> Letters:
    """What stands for \\d, \\W and their like."""
    fits = re.compile(_CATEGORIES[kind]).match
    return frozenset(letter for letter in _EVERY if fits(bytes([letter])))


def _folded(found: Iterable[int], flags: int) -> Letters:
    if not flags & re.IGNORECASE:
        return frozenset(found)
    return frozenset(other for letter in found for other in b"%c%c" % (letter, letter) + _other_case(letter))


def _other_case(letter: int) -> bytes:
    return bytes([letter]).swapcase()
