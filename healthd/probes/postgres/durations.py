"""How long executions took, where only their number, mean and spread are known. Pure.

Each statement's executions are taken to be log-normal, with its mean and standard deviation, and cut off at its
shortest and longest. All of them together are the mixture, weighted by their number: percentiles and counts over a
limit are read from that. It is an estimate: executions with two habits (a hit and a miss of the cache) have no such
shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Executions", "over", "percentile"]

_STEPS = 30  # halvings: one part in a billion of the range


@dataclass(frozen=True, slots=True)
class Executions:
    """`calls` of one statement: total seconds, total of squared seconds, the shortest and the longest."""

    calls: float
    total: float
    squares: float
    shortest: float = 0.0
    longest: float = math.inf

    @property
    def mean(self) -> float:
        return self.total / self.calls

    def shape(self) -> _Shape:
        mean = max(self.mean, 1e-9)
        variance = max(0.0, self.squares / self.calls - mean * mean)
        sigma_squared = math.log1p(variance / (mean * mean))
        return _Shape(
            self.calls, math.log(mean) - sigma_squared / 2, math.sqrt(sigma_squared), self.shortest, self.longest
        )


@dataclass(frozen=True, slots=True)
class _Shape:
    calls: float
    mu: float
    sigma: float
    shortest: float
    longest: float

    def over(self, seconds: float) -> float:
        """How many of the executions took longer than that."""
        if seconds < self.shortest:
            return self.calls
        if seconds >= self.longest:
            return 0.0
        if self.sigma < 1e-6 or seconds <= 0:
            return self.calls if seconds < math.exp(self.mu) else 0.0
        return self.calls * 0.5 * math.erfc((math.log(seconds) - self.mu) / (self.sigma * math.sqrt(2)))


def over(executions: Iterable[Executions], seconds: float) -> float:
    """The estimated number of executions longer than `seconds`."""
    return sum(each.shape().over(seconds) for each in executions)


def percentile(executions: Iterable[Executions], fraction: float) -> float | None:
    """The estimated duration that `fraction` of the executions stay within, in seconds; None without any."""
    shapes = [each.shape() for each in executions]
    beyond = sum(shape.calls for shape in shapes) * (1 - fraction)
    if not shapes:
        return None
    low, high = math.log(1e-9), max(_reach(shape) for shape in shapes)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if sum(shape.over(math.exp(middle)) for shape in shapes) > beyond:
            low = middle
        else:
            high = middle
    return math.exp(high)


def _reach(shape: _Shape) -> float:
    """The logarithm of a duration that practically no execution exceeds."""
    far = shape.mu + 8 * shape.sigma + 1e-6
    return far if math.isinf(shape.longest) else min(far, math.log(max(shape.longest, 1e-9)))
