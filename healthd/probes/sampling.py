"""Looking twice, to measure what happened in between: counters that servers only ever add up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator

from healthd.model.units import format_duration
from healthd.probes.base import Duration, ProbeContext, ProbeError

__all__ = ["Sample", "SampleTime", "sampled"]

T = TypeVar("T")
_LONGEST = timedelta(minutes=10)
_FOR_LOOKS = 0.2  # of the check's timeout, kept for the two looks themselves


@dataclass(frozen=True, slots=True)
class Sample(Generic[T]):
    """Two readings of one thing and the seconds between them."""

    before: T
    after: T
    seconds: float


def _sensible(value: timedelta) -> timedelta:
    if not timedelta(milliseconds=100) <= value <= _LONGEST:
        raise ValueError("a sample lasts between 100ms and 10m")
    return value


# The parameter `sample` of probes that can look twice.
SampleTime = Annotated[Duration, AfterValidator(_sensible)]


async def sampled(context: ProbeContext, apart: timedelta, ask: Callable[[ProbeContext], Awaitable[T]]) -> Sample[T]:
    """Ask, wait, ask again. Raises ProbeError (kind `config`) when the check's timeout leaves no time for it."""
    if apart > context.timeout * (1 - _FOR_LOOKS):
        needed = format_duration(apart.total_seconds() / (1 - _FOR_LOOKS))
        raise ProbeError(f"a sample of {format_duration(apart.total_seconds())} needs a timeout of {needed}", "config")
    each = (context.timeout - apart) / 2
    before = await ask(replace(context, timeout=each))
    started = time.monotonic()
    await asyncio.sleep(apart.total_seconds())
    # not the answer that other checks were given before
    after = await ask(replace(context, timeout=each, shared={}))
    return Sample(before, after, time.monotonic() - started)
