"""Calls that hang: they hold up nobody, and are told to stop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from healthd.probes.blocking import BlockingCalls, Stop


@pytest.fixture
def hanging(tmp_path: Path) -> Callable[[Stop], int]:
    """Opening a pipe nobody writes to blocks in the kernel, as a dead file server does."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def call(_stop: Stop) -> int:
        with pipe.open("rb") as file:
            return len(file.read())

    call.release = lambda: os.close(os.open(pipe, os.O_WRONLY))  # type: ignore[attr-defined]
    return call


async def test_a_hung_call_holds_up_nobody_and_is_not_asked_twice(hanging: Callable[[Stop], int]) -> None:
    calls = BlockingCalls()
    waiting = asyncio.create_task(calls.call("/mnt/dead", hanging, 0.5))
    ticks = 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks >= 3, "a loop that is held up comes back once"
    with pytest.raises(TimeoutError):
        await waiting
    hung = [t for t in threading.enumerate() if t.name == "blocking /mnt/dead"]
    with pytest.raises(TimeoutError):
        await calls.call("/mnt/dead", hanging, 60)  # at once
    assert [t for t in threading.enumerate() if t.name == "blocking /mnt/dead"] == hung
    assert len(hung) == 1
    assert await calls.call("/mnt/fine", lambda _stop: 5, 30) == 5

    hanging.release()  # type: ignore[attr-defined]
    await asyncio.to_thread(hung[0].join, 30)
    assert await calls.call("/mnt/dead", lambda _stop: 7, 30) == 7


async def test_a_cancelled_call_is_told_to_stop() -> None:
    stopped = threading.Event()

    def until_told(stop: Stop) -> None:
        stop.wait(60)
        stopped.set()

    task = asyncio.create_task(BlockingCalls().call("work", until_told, 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(stopped.wait, 30)


async def test_a_failing_call_fails_with_its_own_error() -> None:
    with pytest.raises(FileNotFoundError):
        await BlockingCalls().call("x", lambda _stop: os.stat("/not/there"), 5)
