"""Spreading starts: even, stable, never outside the interval."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from healthd.schedule.splay import SLOT, WINDOW, phase, step


@given(st.text(), st.timedeltas(timedelta(milliseconds=1), timedelta(days=366)))
def test_a_phase_is_stable_and_lies_in_the_interval_on_a_slot(check_id: str, every: timedelta) -> None:
    assert phase(check_id, every) == phase(check_id, every)
    assert timedelta(0) <= phase(check_id, every) < every
    assert phase(check_id, every) % SLOT == timedelta(0)


def test_ten_thousand_checks_spread_evenly_over_few_jobs() -> None:
    slots = Counter(phase(f"shop/check-{n}", timedelta(seconds=30)) for n in range(10_000))
    assert len(slots) == 300
    assert max(slots.values()) < 33 * 2


def test_the_phase_survives_releases() -> None:
    # a check must not change its phase because healthd was upgraded
    assert phase("shop/web", timedelta(minutes=1)) == timedelta(seconds=55.0)


@given(st.integers(1, 100_000))
def test_a_firing_starts_within_its_window(count: int) -> None:
    assert (count - 1) * step(count) <= WINDOW
