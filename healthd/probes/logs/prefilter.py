"""What must be in a line for a pattern to match: looking for that first is many times faster than the pattern itself.

`status=5\\d\\d` needs the word `status=5`. `\\b[45]\\d\\d\\b` needs no word. But when 4 and 5 are written as 5, the
other digits as 0 and what stands beside words as a space, it needs one of ` 500 `, ` 505 `, ` 550 `, ` 555 `: a text is
rewritten so, and searched for these, at the speed of memory. What of a pattern is not understood is left out, so an
answer is always safe to use.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from re import _constants as op  # type: ignore[attr-defined]
from typing import Any

from healthd.probes.logs.syntax import LOOKING, NEWLINE, REPEATS, Letters, category, letters, parse

Run = tuple[Letters, ...]  # places side by side

_WORD = category(op.CATEGORY_WORD)
_EDGE = frozenset(range(256)) - _WORD  # what is beside a word; the newline among them
_LINE = frozenset({NEWLINE})
_COPIES = 64  # of what is repeated
_LONGEST = 10  # places of a part of a run
_WORDS = 8
# Nanoseconds for each byte of a log, measured: to rewrite it, to look for one word, to look at a line, and to look for
# the pattern itself: where it begins with one letter, and where it does not
_REWRITING, _LOOKING_FOR, _LINE_FOUND = 1.2, 0.35, 600.0
_LETTER_FOUND, _ITSELF = 40.0, 5.5


@dataclass(frozen=True, slots=True)
class Prefilter:
    """Every line that matches, ended by a newline and with one before it, holds one of `words`.

    With `table` it does once it is rewritten by it, as bytes.translate does.
    """

    words: tuple[bytes, ...]
    table: bytes | None = None


@lru_cache(maxsize=1024)
def prefilter(pattern: bytes) -> Prefilter | None:
    """What to look for, or None when nothing is worth it. Raises re.error."""
    tree = parse(pattern)
    if tree.state.flags & re.LOCALE:
        return None
    cost, found = min(
        ((_cost(runs), runs) for choice in _choices(tree, tree.state.flags) for runs in _windows(choice)),
        key=lambda pair: pair[0],
        default=(math.inf, ()),
    )
    return _made(found) if cost < _itself(tree, tree.state.flags) else None


def _itself(tree: Any, flags: int) -> float:
    """What looking for the pattern itself costs."""
    first = next((part for part in _flat(tree, flags) if part[0] is not op.AT), None)
    place = letters(*first) if first is not None else None
    if place is None or len(place) > 1:
        return _ITSELF
    return min(_ITSELF, _LOOKING_FOR + _LETTER_FOUND * _chance((place,)))


# -- what a pattern needs: one of the runs of each choice

Choice = tuple[Run, ...]
Part = tuple[Any, Any, int]  # kind, value, flags


def _choices(tree: Sequence[Any], flags: int) -> Iterator[Choice]:
    """Runs of places, of each of which one must be there."""
    run: list[Letters] = []
    parts = list(_flat(tree, flags))
    for number, (kind, value, within) in enumerate(parts):
        if (place := letters(kind, value, within)) is not None:
            run.append(place)
        elif kind is op.AT:
            after = _edge(value, run)
            if after is not None:
                yield ((*run, after),)
            elif not run:
                run = _before(value, parts[number + 1 :])
        elif kind in LOOKING:
            continue  # takes no room: what is before and after stands side by side
        elif kind in REPEATS and (one := _one_place(value[2], within)) is not None:
            copies = [one] * min(value[0], _COPIES)
            run += copies
            if value[1] != len(copies):
                yield (tuple(run),)
                run = copies
        else:
            yield (tuple(run),)
            run = []
            yield from _inside(kind, value, within)
    yield (tuple(run),)


def _inside(kind: Any, value: Any, flags: int) -> Iterator[Choice]:
    if kind is op.BRANCH:
        branches = [_best(list(_choices(branch, flags))) for branch in value[1]]
        if all(branches):
            yield tuple(run for choice in branches for run in choice)
    elif kind in REPEATS and value[0] > 0:
        yield from _choices(value[2], flags)
    elif kind is op.ATOMIC_GROUP:
        yield from _choices(value, flags)


def _best(choices: list[Choice]) -> Choice:
    """The one that is the least likely to be there by chance."""
    return min((c for c in choices if all(c)), key=lambda choice: sum(map(_chance, choice)), default=())


def _edge(value: Any, run: list[Letters]) -> Letters | None:
    """What must follow a run at the end of a word or a line."""
    if not run:
        return None
    if value is op.AT_BOUNDARY:
        return _EDGE if run[-1] <= _WORD else None
    return _LINE if value in (op.AT_END, op.AT_END_STRING) else None


def _before(value: Any, rest: list[Part]) -> list[Letters]:
    """What must be before a run that begins at the beginning of a word or a line."""
    if value is op.AT_BOUNDARY and rest:
        kind, what, flags = rest[0]
        repeated = kind in REPEATS and what[0] > 0
        first = _one_place(what[2], flags) if repeated else letters(kind, what, flags)
        return [_EDGE] if first is not None and first <= _WORD else []
    return [_LINE] if value in (op.AT_BEGINNING, op.AT_BEGINNING_STRING) else []


def _one_place(tree: Sequence[Any], flags: int) -> Letters | None:
    places = _places(tree, flags)
    return places[0] if places is not None and len(places) == 1 else None


def _places(tree: Sequence[Any], flags: int) -> Run | None:
    """What is nothing but places."""
    found = [letters(*part) for part in _flat(tree, flags)]
    return None if None in found else tuple(place for place in found if place is not None)


def _flat(tree: Sequence[Any], flags: int) -> Iterator[Part]:
    """The tree without its groups, each part with the flags it has: `status=(5)` is `status=5`.

    Branches of one length are one of sets: `4\\d|51` is `[45][0-9]`, of which every match is one too.
    """
    for kind, value in tree:
        if kind is op.SUBPATTERN:
            _, more, less, inner = value
            yield from _flat(inner, (flags | more) & ~less)
        elif kind is op.BRANCH and (places := _together([_places(branch, flags) for branch in value[1]])):
            for place in places:
                yield op.IN, [(op.LITERAL, letter) for letter in sorted(place)] or [(op.RANGE, (1, 0))], 0
        else:
            yield kind, value, flags


def _together(branches: list[Run | None]) -> Run:
    lengths = {-1 if branch is None else len(branch) for branch in branches}
    if len(lengths) > 1 or -1 in lengths:
        return ()
    return tuple(frozenset().union(*place) for place in zip(*(b for b in branches if b is not None), strict=True))


# -- which of them are looked for


def _windows(choice: Choice) -> Iterator[Choice]:
    """The choice itself; of a single run also its parts, of which fewer spellings may be enough."""
    if not all(choice):
        return
    yield choice
    if len(choice) == 1:
        run = choice[0]
        spans = ((start, start + length) for start in range(len(run)) for length in range(1, _LONGEST + 1))
        yield from {(run[start:end],) for start, end in spans if end <= len(run)}


def _cost(choice: Choice) -> float:
    """Nanoseconds for each byte of a log."""
    looking = min(_LOOKING_FOR * _spellings(choice), _REWRITING + _LOOKING_FOR * _spellings(choice, rewritten=True))
    return looking + _LINE_FOUND * sum(map(_chance, choice))


def _spellings(choice: Choice, *, rewritten: bool = False) -> float:
    """How many words stand for it; infinite for more than are worth it."""
    parts = _parts({place for run in choice for place in run}) if rewritten else []
    count = sum(
        math.prod(sum(part <= place for part in parts) if rewritten else len(place) for place in run) for run in choice
    )
    return count if count <= _WORDS else math.inf


def _parts(sets: set[Letters]) -> list[Letters]:
    """The largest sets of letters no two of which any of `sets` tells apart."""
    alike: dict[tuple[bool, ...], set[int]] = {}
    ordered = list(sets)
    for letter in range(256):
        alike.setdefault(tuple(letter in one for one in ordered), set()).add(letter)
    return [frozenset(part) for part in alike.values()]


def _made(choice: Choice) -> Prefilter:
    if _LOOKING_FOR * _spellings(choice) <= _REWRITING + _LOOKING_FOR * _spellings(choice, rewritten=True):
        return Prefilter(_spelled(choice, [frozenset({letter}) for letter in range(256)]))
    parts = _parts({place for run in choice for place in run})
    table = bytearray(256)
    for part in parts:
        for letter in part:
            table[letter] = max(part)
    return Prefilter(_spelled(choice, parts), bytes(table))


def _spelled(choice: Choice, parts: list[Letters]) -> tuple[bytes, ...]:
    """The words, each part written as the last of its letters."""
    found: set[bytes] = set()
    for run in choice:
        found.update(map(bytes, product(*([max(part) for part in parts if part <= place] for place in run))))
    return tuple(sorted(found))


def _frequencies() -> list[float]:
    """How often each byte is in a log, roughly."""
    found = [0.0005] * 256
    for letters_, share in (
        (string.ascii_lowercase, 0.4), (string.ascii_uppercase, 0.05), (string.digits, 0.25),
        (" ", 0.12), ("-./:=\"'_,[]()", 0.15), ("\n", 0.01),
    ):  # fmt: skip
        for letter in letters_.encode():
            found[letter] = share / len(letters_)
    return [share / sum(found) for share in found]


_FREQUENCIES = _frequencies()
_AGAIN = 0.7  # a digit is mostly beside another, and a letter


def _chance(run: Run) -> float:
    """That a run begins at a byte by chance."""
    chance, before = 1.0, frozenset[int]()
    for place in run:
        share = sum(_FREQUENCIES[letter] for letter in place)
        chance *= max(share, _AGAIN) if len(place) > 4 and place & before else share
        before = place
    return chance
