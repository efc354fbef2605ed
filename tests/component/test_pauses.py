"""What the collector does not see does not pile up."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from healthd.pauses import Pauses

PER_ROUND = 500


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def circles(number: int) -> list[list[object]]:
    """Things only the collector can free."""
    made: list[list[object]] = []
    for _ in range(number):
        circle: list[object] = []
        circle.append(circle)
        made.append(circle)
    return made


def test_circles_in_use_at_the_wrong_moment_are_freed_in_the_end() -> None:
    pauses = Pauses(some=1_000)
    pauses.settle()
    settled = gc.get_freeze_count()
    rounds = settled // PER_ROUND  # would double it
    for _ in range(rounds):
        in_use = circles(PER_ROUND)
        pauses.age()
        del in_use
    assert gc.get_freeze_count() < settled * 1.3 + 2_000


def test_in_between_nothing_is_looked_at_again() -> None:
    pauses = Pauses()
    pauses.settle()
    before = gc.get_stats()[2]["collections"]
    kept = circles(PER_ROUND)
    pauses.age()
    assert gc.get_stats()[2]["collections"] == before
    assert kept
