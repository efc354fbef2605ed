"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN = 1.0  # seconds


async def end_tasks(tasks: Iterable[asyncio.Future[Any] | None], again: float = AGAIN) -> None:
    """Cancel, and wait until all of them have ended, whatever they end with; None stands for what was never begun.

    Who has not ended is cancelled again every `again` seconds: before Python 3.12 `asyncio.wait_for`, and with it a
    driver's pool, may give back the answer that came at the instant of being cancelled, and a loop around it goes on.
    """
    left = {task for task in tasks if task is not None}
    ending = set(left)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again)
    for task in ending:
        if not task.cancelled():
            task.exception()  # seen: nothing is logged of it
