"""The dead man's switch: an external address is pinged while healthd is able to work, and misses it when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from healthd.model.catalogue import Catalogue
from healthd.model.tasks import end_tasks
from healthd.services.base import House
from healthd.store.base import Commit, OutboxState, StoreError

if TYPE_CHECKING:
    import httpx

MARK = "heartbeat"
ATTEMPTS = 3
FIRST_PAUSE = 1.0  # seconds between attempts, doubled each time
PATIENCE = 10.0  # seconds for one attempt
STORE_PATIENCE = 5.0
log = structlog.get_logger("healthd.heartbeat")


class Heartbeat:
    """Pings in the background, one at a time; whatever the other side does harms nothing else.

    Able: the scheduler rings (`alive`), a commit is durable, and not every channel is stuck. `last` is when the last
    ping was taken, `failing` why the newest was not, "" when it was.
    """

    def __init__(self, house: House, alive: Callable[[], bool]) -> None:
        self._house, self._alive = house, alive
        secret = house.settings.heartbeat_url
        self._url = secret.get_secret_value() if secret else ""
        self._next: datetime | None = None
        self._pinging: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None
        self.since = house.now()
        self.last: datetime | None = None
        self.failing = ""

    @property
    def is_set(self) -> bool:
        """Whether there is an address to ping."""
        return bool(self._url)

    async def restore(self) -> None:
        """Nothing is remembered."""

    def adopt(self, catalogue: Catalogue) -> None:
        """No catalogue says anything of it."""

    async def scan(self, now: datetime) -> None:
        """Begin a ping when it is time."""
        every = self._house.settings.heartbeat_every
        if not self._url or (self._next is not None and self._next - every <= now < self._next):
            return
        self._next = now + every
        if self._pinging is None or self._pinging.done():
            self._pinging = asyncio.get_running_loop().create_task(self._beat())

    async def close(self) -> None:
        """Stop: the other side will notice, as it should."""
        await end_tasks([self._pinging])
        if self._client is not None:
            await self._client.aclose()

    async def _beat(self) -> None:
        why = await self._unable()
        if why:
            self._not_sent("withheld", why)
            return
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
            why = await self._ping()
            if not why:
                self._sent()
                return
        self._not_sent("failed", why)

    async def _unable(self) -> str:
        """Why healthd cannot do its work; "" when it can."""
        return self._not_running() or await self._not_committing() or await self._not_telling()

    def _not_running(self) -> str:
        if not self._alive():
            return "the scheduler does not run"
        states = [s for s in self._house.corridor.states.values() if s.expected_by is not None]
        late = sum(s.overdue for s in states)
        return f"{late} of {len(states)} checks have not run when they should have" if 2 * late > len(states) else ""

    async def _not_committing(self) -> str:
        recorder = self._house.recorder
        durable = await recorder.commit(Commit(marks={MARK: self._house.now()}))
        return "" if durable else f"the database does not take commits: {recorder.problem}"

    async def _not_telling(self) -> str:
        try:
            waiting = await asyncio.wait_for(self._house.store.outbox(), STORE_PATIENCE)
        except TimeoutError:
            return "the database does not answer"
        except StoreError as error:
            return error.reason
        channels, limit = list(self._house.teller.channels), self._house.settings.outbox_stuck
        return "no channel takes messages" if all_stuck(waiting, channels, self._house.now(), limit) else ""

    async def _ping(self) -> str:
        """Why the other side did not take it; "" when it did. Never its address: that is a secret."""
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=PATIENCE, follow_redirects=True)
        try:
            async with asyncio.timeout(PATIENCE), self._client.stream("GET", self._url) as answer:
                return "" if answer.is_success else f"it answered {answer.status_code}"
        except TimeoutError:
            return f"it did not answer within {PATIENCE:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
            return type(error).__name__

    def _sent(self) -> None:
        if self.failing:
            log.info("heartbeat_again", after=self.failing)
        self.last, self.failing = self._house.now(), ""
        self._house.metrics.heartbeats.labels("sent").inc()
        self._house.metrics.heartbeat_at.set(self.last.timestamp())

    def _not_sent(self, outcome: str, why: str) -> None:
        if why != self.failing:
            log.warning("heartbeat_" + outcome, reason=why)
        self.failing = why
        self._house.metrics.heartbeats.labels(outcome).inc()


def all_stuck(waiting: Sequence[OutboxState], channels: Sequence[str], now: datetime, limit: timedelta) -> bool:
    """Whether every channel has a message that has waited longer than `limit`. Without channels none can be stuck."""
    stuck = {state.channel for state in waiting if state.oldest is not None and now - state.oldest > limit}
    return bool(channels) and stuck.issuperset(channels)
