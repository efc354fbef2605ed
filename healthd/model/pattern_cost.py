"""How long a regular expression may take in the worst case, judged by its form.

`re` tries one way after the other: a repetition within a repetition may take time that doubles with every letter, and
each further repetition whose end is not certain multiplies it by the length of the text. What is said here is a bound
for texts that an enemy chose, not what ordinary ones take.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from healthd.model.pattern_trees import LOOKING, REPEATS, parts, walk

_MANY = 16  # a repetition with a bound below this is no repetition
_SHORT = 20  # characters in which nothing takes long
_PLACES = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)
_Set = frozenset[int]
_EVERY = frozenset(range(256))
_END: _Set = frozenset()  # nothing follows, so nothing is tried again
_NEWLINE = frozenset(b"\n")
_SPACE, _DIGIT = frozenset(b" \t\n\r\f\v\x1c\x1d\x1e\x1f\x85\xa0"), frozenset(b"0123456789")
_WORD = frozenset(n for n in _EVERY if chr(n).isalnum() or n == ord("_"))
_CATEGORIES = {
    op.CATEGORY_DIGIT: _DIGIT, op.CATEGORY_NOT_DIGIT: _EVERY - _DIGIT, op.CATEGORY_SPACE: _SPACE,
    op.CATEGORY_NOT_SPACE: _EVERY - _SPACE, op.CATEGORY_WORD: _WORD, op.CATEGORY_NOT_WORD: _EVERY - _WORD,
}  # fmt: skip


@dataclass(slots=True)
class _Form:
    """`uncertain`: repetitions that may end in several places. `reaches`: what all repetitions may run over."""

    repeats: int = 0
    uncertain: int = 0
    nested: bool = False
    reaches: _Set = _END


@lru_cache(maxsize=4096)
def _exponent(pattern: str | bytes, flags: int) -> int | None:
    """The power of the text's length with which the time grows; None when no power will do."""
    tree = _parser.parse(pattern, flags & ~re.DEBUG)
    if any(kind in (op.GROUPREF, op.GROUPREF_EXISTS) for kind, _ in walk(tree)):
        return None
    form = _Form()
    _study(list(tree), form, inside=False, follows=_END)
    if form.nested:
        return None
    if not form.repeats:
        return 1
    first = tree[0] if len(tree) else None
    if first is not None and first[0] is op.AT and first[1] in _beginnings(flags):
        return max(form.uncertain, 1)
    if first is not None and first[0] is op.LITERAL and not form.uncertain and not _letters(*first) & form.reaches:
        return 1  # where one attempt has run over, none begins
    return max(form.uncertain, 1) + 1


def _beginnings(flags: int) -> tuple[Any, ...]:
    return (op.AT_BEGINNING_STRING,) if flags & re.MULTILINE else (op.AT_BEGINNING_STRING, op.AT_BEGINNING)


def steps(regex: re.Pattern[str] | re.Pattern[bytes], size: int) -> float:
    """At most about so many steps, of some nanoseconds each, to search a text of `size` characters."""
    exponent = _exponent(regex.pattern, regex.flags)
    if exponent is None:
        return 0.0 if size <= _SHORT else math.inf
    return float(size) ** exponent / math.factorial(exponent)


def _study(items: Sequence[tuple[Any, Any]], form: _Form, *, inside: bool, follows: _Set | None) -> None:
    """`follows`: what the text after these items may begin with (None: who knows). `inside` a repetition."""
    for place, (kind, value) in enumerate(items):
        after = _first(items[place + 1 :], follows)
        many = kind in REPEATS and value[1] >= _MANY
        if kind in REPEATS and value[0] != value[1]:
            _count(kind, value, form, inside, after, many=many)
        if kind is op.BRANCH and inside and not _apart(value[1]):
            form.nested = True
        for part in parts(kind, value):
            within = _END if kind in LOOKING else after
            if many:
                again = _first(list(part), None)
                within = after | again if after is not None and again is not None else None
            _study(list(part), form, inside=inside or many, follows=within)


def _count(kind: Any, value: Any, form: _Form, inside: bool, after: _Set | None, *, many: bool) -> None:
    one = list(value[2])
    begins = _first(one, None)
    certain = kind is op.POSSESSIVE_REPEAT or (after is not None and begins is not None and not begins & after)
    form.nested |= inside and not certain
    if many and after != _END:  # at the end of the pattern it takes what it can, once
        form.repeats += 1
        form.uncertain += not certain
        form.reaches |= _letters(*one[0]) if len(one) == 1 and one[0][0] in _PLACES else _EVERY


def _apart(branches: Sequence[Any]) -> bool:
    """Whether what comes next tells which of the alternatives it is."""
    seen: set[int] = set()
    for branch in branches:
        first = _first(list(branch), None)
        if first is None or first & seen:
            return False
        seen |= first
    return True


def _first(items: Sequence[tuple[Any, Any]], follows: _Set | None) -> _Set | None:
    """What these items may begin with; None when that is not said in a word."""
    if not items:
        return follows
    kind, value = items[0]
    if kind in _PLACES or (kind is op.AT and value is op.AT_END):
        return _NEWLINE if kind is op.AT else _letters(kind, value)
    if kind is op.SUBPATTERN:
        return _first([*value[3], *items[1:]], follows)
    if kind is op.BRANCH:
        firsts = [_first([*branch, *items[1:]], follows) for branch in value[1]]
        return None if None in firsts else frozenset().union(*firsts)  # type: ignore[arg-type]
    if kind in REPEATS:
        one = _first(list(value[2]), None)
        rest = _first(items[1:], follows) if value[0] == 0 else frozenset()
        return one | rest if one is not None and rest is not None else None
    return None


def _letters(kind: Any, value: Any) -> _Set:
    """What one item may stand for, of the first 256 characters, either case; all others are as one, 255."""
    if kind is op.LITERAL:
        return _either(value)
    if kind is op.NOT_LITERAL:
        return _EVERY - {value} if value < 128 else _EVERY
    if kind is not op.IN:
        return _EVERY
    negated = value[0][0] is op.NEGATE
    found: set[int] = set()
    for what, item in value:
        if what is op.LITERAL:
            found |= {item} if negated else _either(item)
        elif what is op.RANGE:
            for letter in range(item[0], min(item[1], 255) + 1):
                found |= {letter} if negated else _either(letter)
            found |= {255} if item[1] > 255 else set()
        elif what is op.CATEGORY:
            found |= _CATEGORIES[item]
    return (_EVERY - found) | {255} if negated else frozenset(found)


def _either(letter: int) -> _Set:
    return frozenset(min(ord(c), 255) for c in (chr(letter).lower() + chr(letter).upper()))
