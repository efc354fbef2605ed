"""Regular expressions as trees: what `re` makes of a pattern before it compiles it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from re import _constants as op  # type: ignore[attr-defined]
from typing import Any

REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
LOOKING = (op.ASSERT, op.ASSERT_NOT)


def walk(tree: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Every part of a pattern, and the parts of these."""
    for kind, value in tree:
        yield kind, value
        for part in parts(kind, value):
            yield from walk(part)


def parts(kind: Any, value: Any) -> Sequence[Any]:
    """The trees below one."""
    if kind is op.BRANCH:
        return value[1]  # type: ignore[no-any-return]
    if kind is op.ATOMIC_GROUP:
        return [value]
    if kind is op.GROUPREF_EXISTS:
        return [part for part in value[1:] if part is not None]
    last = kind is op.SUBPATTERN or kind in REPEATS or kind in LOOKING
    return [value[-1]] if last else ()
