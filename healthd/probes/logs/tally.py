"""What is kept of the lines that match, however many: counts, samples, the most frequent words, percentiles."""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from healthd.probes.logs.scan import excluded

_SAMPLES = 5
_SAMPLE_BYTES = 4000
_WORD_BYTES = 100
_WORDS_KEPT = 10_000
_WORDS_MAX = 20_000
_STEP = math.log(1.02)  # percentiles are right to a hundredth


@dataclass(slots=True)
class Lines:
    """How many lines match, and the last few of them. `exclude` are not counted."""

    exclude: re.Pattern[bytes] | None
    count: int = 0
    samples: deque[bytes] = field(default_factory=lambda: deque(maxlen=_SAMPLES))

    def hit(self, piece: bytes, start: int, end: int, match: Any) -> None:
        """Take a line."""
        if excluded(self.exclude, piece, start, end):
            return
        self.count += 1
        self.samples.append(piece[start : min(end, start + _SAMPLE_BYTES)])


@dataclass(slots=True)
class Words:
    """How often each word is captured. Of more than 20,000 different ones the rarest are forgotten."""

    exclude: re.Pattern[bytes] | None
    counts: Counter[bytes] = field(default_factory=Counter)
    forgotten: bool = False

    def hit(self, piece: bytes, start: int, end: int, match: Any) -> None:
        """Take a line."""
        word = match[1]
        if word is None or excluded(self.exclude, piece, start, end):
            return
        self.counts[word[:_WORD_BYTES]] += 1
        if len(self.counts) > _WORDS_MAX:
            self.counts = Counter(dict(self.counts.most_common(_WORDS_KEPT)))
            self.forgotten = True


@dataclass(slots=True)
class Numbers:
    """Mean, largest and percentiles of the numbers captured, in a few hundred buckets."""

    exclude: re.Pattern[bytes] | None
    count: int = 0
    total: float = 0.0
    largest: float = -math.inf
    buckets: Counter[int] = field(default_factory=Counter)
    zeros: int = 0

    def hit(self, piece: bytes, start: int, end: int, match: Any) -> None:
        """Take a line."""
        try:
            number = float(match[1])
        except (TypeError, ValueError):
            return
        if not math.isfinite(number) or excluded(self.exclude, piece, start, end):
            return
        self.count += 1
        self.total += number
        self.largest = max(self.largest, number)
        if number > 0:
            self.buckets[math.ceil(math.log(number) / _STEP)] += 1
        else:
            self.zeros += 1

    def percentile(self, percent: float) -> float:
        """The number below which `percent` of all are; zero and below count as zero."""
        rank = percent / 100 * self.count
        seen = self.zeros
        if seen >= rank and seen:
            return 0.0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return min(self.largest, math.exp((bucket - 0.5) * _STEP))
        return self.largest
