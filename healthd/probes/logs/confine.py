"""Patterns that cannot reach over the end of a line: with them many lines are searched in one go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from re import _compiler, _parser  # type: ignore[attr-defined]
from re import _constants as op  # type: ignore[attr-defined]
from typing import Any

from healthd.probes.logs.syntax import LOOKING, NEWLINE, REPEATS, members, parse, parts, walk

_SIMPLE = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN, op.AT, op.FAILURE)
_BRANCHING = (op.SUBPATTERN, op.BRANCH, op.ATOMIC_GROUP, op.GROUPREF, op.GROUPREF_EXISTS, *REPEATS, *LOOKING)
_LETTERS = (op.LITERAL, op.NOT_LITERAL, op.IN)
_ENDS = {
    op.AT_BEGINNING: op.AT_BEGINNING_LINE, op.AT_BEGINNING_STRING: op.AT_BEGINNING_LINE,
    op.AT_END: op.AT_END_LINE, op.AT_END_STRING: op.AT_END_LINE,
}  # fmt: skip


@lru_cache(maxsize=1024)
def confined(pattern: bytes) -> re.Pattern[bytes] | None:
    """A pattern that finds in a text of lines what `pattern` finds in each line alone; None when there is none.

    It is the same but for `.`, `\\s`, `[^...]` and their like, which do not stand for a newline, and for \\A and \\Z,
    which are the ends of a line. Raises re.error.
    """
    tree = parse(pattern)
    if tree.state.flags & re.LOCALE or not all(_understood(kind, value) for kind, value in walk(tree)):
        return None
    _confine(tree)
    _begin_with_letter(tree)
    return _compiler.compile(tree, re.MULTILINE)  # type: ignore[no-any-return]


def _understood(kind: Any, value: Any) -> bool:
    if kind is op.AT and value is op.AT_NON_BOUNDARY:
        return False  # in a text of nothing it is not where it is in an empty line among others
    return kind in _SIMPLE or kind in _BRANCHING


def _confine(tree: Any) -> None:
    for place, (kind, value) in enumerate(tree.data):
        tree.data[place] = _inside_line(kind, value)
        for part in parts(kind, value):
            _confine(part)


def _inside_line(kind: Any, value: Any) -> tuple[Any, Any]:
    if kind is op.ANY:
        return op.NOT_LITERAL, NEWLINE
    if kind is op.NOT_LITERAL:
        return op.IN, [(op.NEGATE, None), (op.LITERAL, value), (op.LITERAL, NEWLINE)]
    if kind is op.LITERAL and value == NEWLINE:
        return op.FAILURE, ()
    if kind is op.AT:
        return op.AT, _ENDS.get(value, value)
    if kind is op.IN:
        return op.IN, _without_newline(value)
    return kind, value


def _without_newline(value: Sequence[Any]) -> Sequence[Any]:
    """The members of a set, changed where it holds one."""
    if value[0][0] is op.NEGATE:
        return [*value, (op.LITERAL, NEWLINE)]
    found = members(value)
    if NEWLINE not in found:
        return value
    rest = sorted(found - {NEWLINE})
    return [(op.LITERAL, letter) for letter in rest] or [(op.NEGATE, None), (op.RANGE, (0, 255))]


def _begin_with_letter(tree: Any) -> None:
    """`re` runs ahead to the letter a pattern begins with: `\\b5\\d` becomes `5(?<=\\b5)\\d`, and `\\d+` `\\d\\d*`."""
    items = tree.data
    ends = [item for item in items if item[0] is op.AT]
    ends = ends[: next((n for n, item in enumerate(items) if item[0] is not op.AT), len(items))]
    if len(ends) == len(items):
        return
    kind, value = items[len(ends)]
    if kind is op.SUBPATTERN and not value[1] and not value[2]:
        value[3].data[:0] = ends
        del items[: len(ends)]
        _begin_with_letter(value[3])
        return
    if kind in REPEATS and value[0] > 0 and len(value[2]) == 1 and value[2].data[0][0] in _LETTERS:
        least, most, one = value
        most = most if most is op.MAXREPEAT else most - 1
        items[len(ends) : len(ends) + 1] = [one.data[0], (kind, (least - 1, most, one))]
    first = items[len(ends)]
    if ends and first[0] in _LETTERS:
        before = _parser.SubPattern(tree.state, [*ends, first])
        items[: len(ends) + 1] = [first, (op.ASSERT, (-1, before))]
