"""Ending tasks that do not end at once."""

from __future__ import annotations

import asyncio

from healthd.model.tasks import end_tasks


async def test_who_takes_being_cancelled_for_an_answer_is_cancelled_again() -> None:
    lost = 0

    async def loses_two() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 2:
                    raise

    task = asyncio.create_task(loses_two())
    await asyncio.sleep(0)
    await asyncio.wait_for(end_tasks([task, None], again=0.01), 5)
    assert task.cancelled()
    assert lost == 3


async def test_cleaning_up_has_its_time_and_what_comes_of_it_is_nobodys_concern() -> None:
    done = []

    async def cleans_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            done.append("cleaned up")
            raise ValueError("nobody asks")

    tasks = [asyncio.create_task(cleans_up()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0)
    await end_tasks(tasks)
    await end_tasks(tasks)  # harmless
    assert done == ["cleaned up"]
    assert all(task.done() for task in tasks)
