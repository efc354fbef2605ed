"""What is estimated from number, mean and spread, against executions whose durations are known."""

from __future__ import annotations

import random
import time

import pytest

from healthd.probes.postgres.durations import Executions, over, percentile


def observed(durations: list[float]) -> Executions:
    return Executions(len(durations), sum(durations), sum(d * d for d in durations), min(durations), max(durations))


def true_percentile(durations: list[float], fraction: float) -> float:
    return sorted(durations)[int(len(durations) * fraction)]


def test_log_normal_durations() -> None:
    random.seed(1)
    durations = [random.lognormvariate(-5, 0.8) for _ in range(20_000)]
    for fraction in (0.5, 0.95, 0.99):
        assert percentile([observed(durations)], fraction) == pytest.approx(
            true_percentile(durations, fraction), rel=0.1
        )
    assert over([observed(durations)], 0.03) == pytest.approx(sum(d > 0.03 for d in durations), rel=0.1)


def test_a_mixture_of_a_fast_and_a_slow_statement() -> None:
    random.seed(2)
    fast = [random.lognormvariate(-7, 0.5) for _ in range(9_800)]
    slow = [random.lognormvariate(0, 0.3) for _ in range(200)]
    executions = [observed(fast), observed(slow)]
    assert percentile(executions, 0.95) == pytest.approx(true_percentile(fast + slow, 0.95), rel=0.1)
    assert percentile(executions, 0.99) == pytest.approx(true_percentile(fast + slow, 0.99), rel=0.1)
    assert over(executions, 0.1) == pytest.approx(200, abs=1)


def test_executions_that_all_took_the_same_time() -> None:
    same = observed([0.25] * 40)
    assert percentile([same], 0.5) == pytest.approx(0.25)
    assert percentile([same], 0.99) == pytest.approx(0.25)
    assert (over([same], 0.24), over([same], 0.26)) == (40, 0)


def test_nothing_lies_outside_of_what_was_seen() -> None:
    wild = observed([0.001] * 99 + [10.0])
    assert over([wild], 10.0) == 0
    assert over([wild], 0.0005) == 100
    assert percentile([wild], 0.999) <= 10.0  # type: ignore[operator]


def test_no_executions() -> None:
    assert percentile([], 0.99) is None
    assert over([], 1) == 0


def test_executions_too_short_to_be_timed() -> None:
    assert percentile([Executions(10, 0.0, 0.0, 0.0, 0.0)], 0.99) == pytest.approx(0, abs=1e-6)


def test_the_cost_of_an_estimate() -> None:
    many = [observed([0.001 * n, 0.002 * n, 0.004 * n]) for n in range(1, 501)]
    started = time.process_time()
    percentile(many, 0.99)
    assert time.process_time() - started < 0.5
