"""Values at which conditions are worth comparing.

Conditions change only at their limits, so comparing them at every limit, between limits and beyond them is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from healthd.model.conditions import Combination, Comparison, Condition, Membership
from healthd.model.units import Unit

OTHER_WORD = "\0"  # stands for every word no condition names


def samples(conditions: Iterable[Condition], unit: Unit | None) -> list[float | str]:
    """Values in `unit` (None: unknown), or words, that tell the conditions apart; numbers in ascending order.

    Raises UnitError for limits that cannot be converted.
    """
    found = list(conditions)
    all_parts = [part for condition in found for part in parts(condition.test)]
    members = [member for part in all_parts if isinstance(part, Membership) for member in part.members]
    compared = [part for part in all_parts if isinstance(part, Comparison)]
    words = [part.word for part in compared if part.limit is None and part.word is not None]
    if unit is Unit.TEXT or words or not all(map(is_number, members)):
        written = [part.word for part in compared if part.word is not None]
        return [*members, *written, OTHER_WORD]
    limits = {limit for condition in found for limit in condition.limits(unit)}
    points = sorted(limits | {float(member) for member in members})
    between = [(low + high) / 2 for low, high in pairwise(points)]
    return sorted([points[0] - 1, *points, *between, points[-1] + 1]) if points else []


def parts(test: Comparison | Membership | Combination) -> Iterator[Comparison | Membership]:
    """What a condition is combined from."""
    if isinstance(test, Combination):
        for part in test.parts:
            yield from parts(part)
    else:
        yield test


def is_number(text: str) -> bool:
    """Whether a member of a list is a number rather than a word."""
    try:
        float(text)
    except ValueError:
        return False
    return True
