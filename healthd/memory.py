"""What channels remember of incidents, kept in the store: the Slack thread an incident is told in, the
alerts that are open in an Alertmanager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from healthd.model.incidents import ChannelError
from healthd.model.records import Record
from healthd.store.base import Commit, Store, StoreError

KIND = "thread"
MOST = 20_000  # open at once


class StoreMemory:
    """A notify.context.Memory. A store that is away is a ChannelError: the message is tried again."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store, self._now = store, now

    async def recall(self, channel: str, key: str) -> Mapping[str, Any] | None:
        """What was remembered under `key`, None for nothing."""
        try:
            found = await self._store.record(KIND, f"{channel}/{key}")
        except StoreError as error:
            raise ChannelError(f"the database did not say where this incident was told: {error.reason}") from None
        return found.body if found else None

    async def remember(self, channel: str, key: str, what: Mapping[str, Any], *, open_: bool = False) -> None:
        """Durable on return."""
        at = self._now()
        record = Record(
            KIND, f"{channel}/{key}", at, name=channel, closed_at=None if open_ else at, body={**what, "key": key}
        )
        try:
            await self._store.commit(Commit(records=(record,)))
        except StoreError as error:
            raise ChannelError(f"the database did not keep where this incident is told: {error.reason}") from None

    async def open(self, channel: str) -> Mapping[str, Mapping[str, Any]]:
        """By key, what was last remembered as open."""
        try:
            found = await self._store.records(KIND, name=channel, open_only=True, limit=MOST)
        except StoreError as error:
            raise ChannelError(f"the database did not say what is open: {error.reason}") from None
        return {str(record.body["key"]): record.body for record in found}
