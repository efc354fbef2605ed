"""What the outbox needs of the store: a part of the store's own interface, which it therefore fits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from healthd.model.incidents import Message, TimelineEntry


class Waiting(Protocol):
    """A channel with waiting messages."""

    @property
    def channel(self) -> str:
        """Its name."""

    @property
    def pending(self) -> int:
        """How many messages wait."""


class Queue(Protocol):
    """Every call may raise; the caller tries again."""

    async def due_messages(self, channel: str, now: datetime, limit: int = 20) -> list[Message]:
        """The first waiting message of each group of this channel, if its next attempt is due. Oldest first."""

    async def messages_behind(self, message_id: str, limit: int = 100) -> list[Message]:
        """Those of its channel and group that wait behind it, the first written first."""

    async def next_attempt(self, channel: str) -> datetime | None:
        """When the earliest of these is due; None when nothing waits."""

    async def delivered(self, message_id: str, at: datetime, timeline: TimelineEntry | None = None) -> None:
        """Take it out: accepted."""

    async def failed(self, message_id: str, error: str, next_attempt_at: datetime) -> None:
        """Count the attempt and try again later."""

    async def gave_up(self, message_id: str, at: datetime, timeline: TimelineEntry | None = None) -> None:
        """Take it out: given up."""

    async def outbox(self) -> Sequence[Waiting]:
        """Channels with waiting messages."""
