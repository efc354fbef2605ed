"""One run of one look: its timeout, its retries, and looks that misbehave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from healthd.model.catalogue import Retry
from healthd.model.outcomes import ProbeError
from healthd.schedule import Attempt, attempt

NOW = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
MS = timedelta(milliseconds=1)


async def run(look: Callable[[], Awaitable[Any]], **options: Any) -> Attempt[Any]:
    return await attempt(look, **{"started": NOW, "timeout": timedelta(seconds=5), **options})


def script(*steps: Any) -> Callable[[], Awaitable[Any]]:
    """A look that returns or raises the next step each time."""
    remaining = list(steps)

    async def look() -> Any:
        step = remaining.pop(0)
        await asyncio.sleep(0)
        if isinstance(step, BaseException):
            raise step
        return step

    return look


async def test_a_look_that_answers_is_an_observation_with_its_start_and_duration() -> None:
    async def look() -> str:
        await asyncio.sleep(0.05)
        return "seen"

    result = await run(look)
    assert (result.observation, result.error, result.started, result.attempts) == ("seen", None, NOW, 1)
    assert 50 * MS <= result.duration < 10_000 * MS


async def test_a_look_that_cannot_look_keeps_its_reason() -> None:
    result = await run(script(ProbeError("connection refused", "refused")))
    assert result.observation is None
    assert result.error is not None
    assert (result.error.reason, result.error.kind) == ("connection refused", "refused")


async def test_running_out_of_time_says_how_long_it_waited() -> None:
    ended = asyncio.Event()

    async def look() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    result = await run(look, timeout=100 * MS)
    assert result.error is not None
    assert (result.error.kind, result.error.reason) == ("timeout", "no answer within 100ms")
    assert ended.is_set(), "it was cancelled and could clean up"
    assert 100 * MS <= result.duration < 10_000 * MS


async def test_what_a_look_says_while_being_cancelled_does_not_hide_the_timeout() -> None:
    async def look() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ProbeError("interrupted", "protocol") from None
        return "never"

    result = await run(look, timeout=50 * MS)
    assert result.error is not None
    assert result.error.kind == "timeout"


async def test_a_look_that_ignores_being_cancelled_is_left_behind() -> None:
    release = asyncio.Event()

    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        raise RuntimeError("nobody listens any more")

    begin = time.monotonic()
    with capture_logs() as logs:
        result = await run(stubborn, timeout=50 * MS, cancel_grace=100 * MS, retry=Retry(3, 10 * MS))
    assert time.monotonic() - begin < 10
    assert result.error is not None
    assert result.error.kind == "timeout"
    assert "left behind" in result.error.reason
    assert [entry["log_level"] for entry in logs] == ["warning"]
    release.set()
    await asyncio.sleep(0.01)  # its late exception must not be reported as never retrieved


async def test_shutdown_cancels_the_look_and_is_not_mistaken_for_a_timeout() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def look() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            ended.set()

    task = asyncio.create_task(run(look))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set(), "nothing is left running"


async def test_shutdown_is_not_held_up_by_a_look_that_ignores_it() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(run(stubborn, cancel_grace=50 * MS))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 20)
    release.set()


@pytest.mark.parametrize("error", [KeyError("hunter2"), ValueError("hunter2"), TimeoutError("hunter2")])
async def test_any_other_exception_is_a_bug_named_without_its_text_and_logged(error: Exception) -> None:
    with capture_logs() as logs:
        result = await run(script(error, "second"), retry=Retry(2, 10 * MS))
    assert result.error is not None
    assert result.error.kind == "bug"
    assert type(error).__name__ in result.error.reason
    assert "hunter2" not in result.error.reason
    assert result.attempts == 1, "a bug does not go away by trying again"
    assert [(entry["log_level"], entry["exc_info"]) for entry in logs] == [("error", error)]


async def test_a_look_that_cancels_itself_is_a_bug() -> None:
    result = await run(script(asyncio.CancelledError()))
    assert result.error is not None
    assert result.error.kind == "bug"


async def test_a_failed_look_is_repeated_with_doubled_pauses_until_it_answers() -> None:
    refused = ProbeError("connection refused", "refused")
    result = await run(script(refused, refused, "seen"), retry=Retry(5, 40 * MS))
    assert (result.observation, result.error, result.attempts) == ("seen", None, 3)
    assert 120 * MS <= result.duration < 10_000 * MS


async def test_the_last_failure_counts_when_no_attempt_is_left() -> None:
    result = await run(script(ProbeError("first"), ProbeError("second")), retry=Retry(2, 1 * MS))
    assert result.error is not None
    assert (result.error.reason, result.attempts) == ("second", 2)


async def test_a_bad_answer_is_repeated_where_the_caller_says_so() -> None:
    result = await run(script(503, 503, 200), retry=Retry(3, 1 * MS), retryable=lambda status: status >= 500)
    assert (result.observation, result.attempts) == (200, 3)
    once = await run(script(503, 200), retryable=lambda status: status >= 500)
    assert (once.observation, once.attempts) == (503, 1)


async def test_a_wrong_configuration_is_not_tried_again() -> None:
    result = await run(script(ProbeError("no such file", "config"), "second"), retry=Retry(2, 1 * MS))
    assert result.attempts == 1


async def test_no_pause_is_begun_that_would_outlast_the_timeout() -> None:
    result = await run(
        script(ProbeError("refused"), "never"), retry=Retry(2, timedelta(seconds=30)), timeout=timedelta(seconds=20)
    )
    assert result.error is not None
    assert (result.error.reason, result.attempts) == ("refused", 1)
    assert result.duration < timedelta(seconds=10)


async def test_no_look_is_begun_that_would_have_no_time_of_its_own() -> None:
    """The timeout may be a little longer than what a look is given: that little is nobody's to look in."""
    hurried = {"timeout": timedelta(hours=1), "begin_within": 10 * MS}
    result = await run(script(ProbeError("no answer within 10s"), "never"), retry=Retry(2, 20 * MS), **hurried)
    assert result.error is not None
    assert (result.error.reason, result.attempts) == ("no answer within 10s", 1)


async def test_the_timeout_is_for_all_attempts_and_the_last_completed_one_counts() -> None:
    calls = 0

    async def look() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ProbeError("connection refused", "refused")
        await asyncio.Event().wait()

    result = await run(look, retry=Retry(3, 10 * MS), timeout=150 * MS)
    assert result.error is not None
    assert (result.error.kind, result.attempts) == ("refused", 2)
    assert result.duration < timedelta(seconds=10)


async def test_a_run_costs_little_more_than_the_look_itself() -> None:
    async def look() -> int:
        return 1

    count = 3000
    cpu = time.process_time()
    for _ in range(count):
        await attempt(look, started=NOW, timeout=timedelta(seconds=10))
    per_run = (time.process_time() - cpu) / count
    assert per_run < 150e-6, f"{per_run * 1e6:.0f} microseconds"
