"""One run of one look: bounded in time, retried where asked, and never left hanging."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog

from healthd.model.catalogue import Retry
from healthd.model.outcomes import ProbeError
from healthd.model.units import format_duration

T = TypeVar("T")
log = structlog.get_logger(__name__)

ONCE = Retry()
# How long a cancelled look may take to clean up before it is left behind.
CANCEL_GRACE = timedelta(seconds=2)
# Trying again cannot mend these.
_FINAL_KINDS = frozenset({"bug", "config"})


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """How a run ended: exactly one of `observation` and `error` is set.

    `started` is as given, `duration` covers all attempts and pauses (monotonic), `attempts` counts looks begun.
    """

    observation: T | None
    error: ProbeError | None
    started: datetime
    duration: timedelta
    attempts: int = 1


async def attempt(
    look: Callable[[], Awaitable[T]],
    *,
    started: datetime,
    timeout: timedelta,
    retry: Retry = ONCE,
    retryable: Callable[[T], bool] | None = None,
    cancel_grace: timedelta = CANCEL_GRACE,
    begin_within: timedelta | None = None,
) -> Attempt[T]:
    """Look, within `timeout` for everything, at most `retry.attempts` times.

    A look is repeated when it raised ProbeError (unless of kind bug or config) or when `retryable` says so of its
    result; the pause doubles each time and is only begun if it ends within `begin_within` (default: the timeout), so
    that the next look has time of its own. The last completed look counts. Never raises anything but CancelledError:
    running out of time is a ProbeError of kind "timeout", any exception that is not a ProbeError is logged and becomes
    one of kind "bug".

    The look runs in a task of its own. Cancelling `attempt` (shutdown) cancels the look and waits for it. A look that
    ignores being cancelled is left behind after `cancel_grace`; the error says so.
    """
    begin = time.perf_counter()
    deadline = begin + timeout.total_seconds()
    last_begin = begin + (begin_within or timeout).total_seconds()
    pause = retry.backoff.total_seconds()
    observation: T | None = None
    error: ProbeError | None = None
    count = 0
    while True:
        count += 1
        try:
            result = await _bounded(look, deadline - time.perf_counter(), cancel_grace)
            observation, error = result, None
            again = retryable is not None and retryable(result)
        except _OutOfTime as over:
            if count == 1 or over.abandoned:
                observation, error = None, _timeout_error(timeout, over.abandoned)
            break
        except ProbeError as failure:
            observation, error = None, failure
            again = failure.kind not in _FINAL_KINDS
        except Exception as bug:  # noqa: BLE001 - _bug logs it
            observation, error, again = None, _bug(bug), False
        if not again or count >= retry.attempts or time.perf_counter() + pause >= last_begin:
            break
        await asyncio.sleep(pause)
        pause *= 2
    return Attempt(observation, error, started, timedelta(seconds=time.perf_counter() - begin), count)


class _OutOfTime(Exception):  # noqa: N818 - how a look ended, not a mistake
    def __init__(self, abandoned: bool) -> None:
        super().__init__()
        self.abandoned = abandoned


async def _bounded(look: Callable[[], Awaitable[T]], seconds: float, cancel_grace: timedelta) -> T:
    """The look's result. Raises what it raised, or _OutOfTime.

    asyncio.timeout would wait for ever for a look that swallows its cancellation, so it gets a task of its own.
    """
    task = asyncio.ensure_future(look())
    try:
        done, _ = await asyncio.wait((task,), timeout=max(seconds, 0))
    except asyncio.CancelledError:
        await _cancel(task, cancel_grace)
        raise
    if not done:
        raise _OutOfTime(abandoned=not await _cancel(task, cancel_grace))
    if task.cancelled():
        raise RuntimeError("the look cancelled itself")
    return task.result()


async def _cancel(task: asyncio.Future[Any], grace: timedelta) -> bool:
    """Cancel the look. Whether it ended in time; what it raised on its way out is of no interest any more."""
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    task.cancel()
    done, _ = await asyncio.wait((task,), timeout=grace.total_seconds())
    return bool(done)


def _timeout_error(timeout: timedelta, abandoned: bool) -> ProbeError:
    reason = f"no answer within {format_duration(timeout.total_seconds())}"
    if abandoned:
        reason += "; the probe ignored being cancelled and was left behind"
        log.warning("a probe ignored being cancelled and was left behind", timeout=timeout.total_seconds())
    return ProbeError(reason, "timeout")


def _bug(error: Exception) -> ProbeError:
    """The exception's text stays out of the reason: nobody has vouched that it holds no secret."""
    log.error("a probe raised what it should have handled", error=type(error).__name__, exc_info=error)
    return ProbeError(f"bug in the probe: {type(error).__name__} (the traceback is in the log)", "bug")
