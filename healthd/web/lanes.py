"""Who waits for whom: checks come first, then people who change something, then readers.

Few are answered at a time, within a share of the event loop's time; whoever would wait too long is told to come again.
"""

from __future__ import annotations

import asyncio
import time
import types
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from healthd.web.errors import brief
from healthd.web.problem import RequestError
from healthd.web.security import visitor_of

RETRY_AFTER = 2.0  # seconds


class Budget:
    """`share` of the event loop's processor; what was not used before is there for a burst, `most` seconds of it."""

    def __init__(self, share: float, most: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._share, self._most, self._clock = share, most, clock
        self._left, self._as_of = most, clock()

    def spend(self, seconds: float) -> None:
        """That much was used."""
        self._left = self._now() - seconds

    def wait(self) -> float:
        """Seconds until there is something left; 0 when there is."""
        return max(0.0, -self._now() / self._share)

    async def ready(self) -> None:
        """Wait until there is."""
        while wait := self.wait():  # noqa: ASYNC110 - for time to pass; others may use it up meanwhile
            await asyncio.sleep(wait)

    def _now(self) -> float:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._as_of) * self._share)
        self._as_of = now
        return self._left


@types.coroutine
def metered(work: Awaitable[None], spend: Callable[[float], None]) -> Generator[Any, Any, None]:
    """As `work`; `spend` is told of what it costs the event loop's processor, in seconds, each time before it waits."""
    steps = work.__await__()
    step: Callable[[], Any] = partial(steps.send, None)
    while True:
        began = time.thread_time()
        try:
            waits_for = step()
        except StopIteration:
            return
        finally:
            spend(time.thread_time() - began)
        try:
            step = partial(steps.send, (yield waits_for))
        except BaseException as error:  # noqa: BLE001 - it is for the work to deal with
            step = partial(steps.throw, error)


class Lane:
    """So many at once, half of them of one address; so many may wait, so long; all of them within a budget."""

    def __init__(self, at_once: int, waiting: int, patience: float, budget: Budget) -> None:
        self._at_once, self._waiting, self._patience = at_once, waiting, patience
        self.budget = budget
        self._free = asyncio.Semaphore(at_once)
        self._of: dict[str, asyncio.Semaphore] = {}
        self._here: Counter[str] = Counter()  # by address: waiting or being answered

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait for it. Raises BusyError when that takes too long."""
        if self._here.total() >= self._at_once + self._waiting:
            raise BusyError
        self._here[address] += 1
        own = self._of.setdefault(address, asyncio.Semaphore(max(1, self._at_once // 2)))
        try:
            async with AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout(self._patience):
                        await stack.enter_async_context(own)
                        await stack.enter_async_context(self._free)
                        await self.budget.ready()
                except TimeoutError:
                    raise BusyError from None
                yield
        finally:
            self._here[address] -= 1
            if not self._here[address]:
                del self._here[address], self._of[address]


class Lanes:
    """Few at a time. Probes of the platform and static files wait for nobody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._changes = Lane(64, 64, 10, Budget(0.25))
        self._metrics = Lane(4, 40, 5, Budget(0.25, 5.0))
        self._reads = Lane(8, 120, 3, Budget(0.35))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lane = self._lane(scope)
        if lane is None:
            await self._app(scope, receive, send)
            return
        try:
            async with lane.turn(visitor_of(Request(scope)).address):
                await metered(self._app(scope, receive, send), lane.budget.spend)
        except BusyError as busy:
            await brief(scope, busy)(scope, receive, send)

    def _lane(self, scope: Scope) -> Lane | None:
        path = scope["path"]
        if path in ("/healthz", "/readyz") or path.startswith("/static/"):
            return None
        if scope["method"] not in ("GET", "HEAD"):
            return self._changes
        return self._metrics if path == "/metrics" else self._reads


class BusyError(RequestError):
    """Too much is asked."""

    def __init__(self) -> None:
        super().__init__(503, "healthd is asked too much at once", "checks go on; try again", retry_after=RETRY_AFTER)
