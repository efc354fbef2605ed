"""An outbox on a real store, and what it is given to do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import Message
from healthd.notify import Outbox, Policy
from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.servers.receiver import Request
from tests.telling import make_incident, make_message

# As in production, but ten times as fast.
POLICY = Policy(
    first=timedelta(seconds=0.1),
    longest=timedelta(seconds=0.4),
    permanent=timedelta(seconds=1),
    poll=timedelta(seconds=0.2),
)


def now() -> datetime:
    return datetime.now(UTC)


def spec(url: str, name: str = "team", max_age: timedelta = timedelta(hours=1), timeout: str = "1s") -> ChannelSpec:
    return ChannelSpec(name, "webhook", {"url": f"{url}/{name}", "unsigned": True, "timeout": timeout}, max_age)


@dataclass
class Desk:
    """A store, its outbox, and what was observed."""

    store: SqlStore
    policy: Policy = POLICY
    clock: Callable[[], datetime] = now
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    heard: asyncio.Condition = field(default_factory=asyncio.Condition)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = self.new_outbox()

    def new_outbox(self) -> Outbox:
        return Outbox(self.store, observe=self._observe, now=self.clock, rng=Random(7), policy=self.policy)

    def renew(self, **policy: timedelta) -> None:
        """Another outbox, of a policy that differs in this."""
        self.policy = replace(self.policy, **policy)
        self.outbox = self.new_outbox()

    def _observe(self, channel: str, outcome: str) -> None:
        self.outcomes[channel, outcome] += 1

    async def tell(self, *messages: Message) -> None:
        """As the daemon does: durable first, then wake."""
        incidents = tuple(make_incident(id=group) for group in {message.group for message in messages})
        await self.store.commit(Commit(incidents=incidents, messages=messages))
        self.outbox.wake({message.channel for message in messages})

    async def until(self, holds: Callable[[], Awaitable[bool]], timeout: float = 30) -> None:
        async with asyncio.timeout(timeout):
            while not await holds():
                await asyncio.sleep(0.02)

    async def empty(self) -> bool:
        return not await self.store.outbox()

    async def kinds(self, incident_id: str) -> list[str]:
        return [entry.kind for entry in await self.store.timeline(incident_id)]


def message(number: int = 1, channel: str = "team", group: str = "", event: str = "firing", **more: Any) -> Message:
    group = group or f"INC-{number}"
    return make_message(f"{group}-{number}-{channel}", channel, group, event, more.pop("created_at", now()), **more)


def ids(requests: Iterable[Request]) -> list[str]:
    return [request.headers["webhook-id"] for request in requests]


async def reached(desk: Desk, outcome: str, count: int, channel: str = "team") -> bool:
    return desk.outcomes[channel, outcome] >= count


async def logged(logs: Any, event: str, count: int) -> bool:
    return len([line for line in logs if line["event"] == event]) >= count
