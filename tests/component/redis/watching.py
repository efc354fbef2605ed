"""Waiting for what takes a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.component.looking import Looker, values


async def until(true: Callable[[], bool]) -> None:
    for _ in range(300):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not become true")


async def down(ping: Looker, url: str, words: str) -> None:
    """The server is seen as down for a reason that holds `words`, at the latest after a moment."""
    for _ in range(300):
        seen = await ping(url=url)
        if values(seen)["up"] == 0 and words in seen.note:
            assert values(seen) == {"up": 0}
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never down because of {words!r}; last note: {seen.note!r}")
