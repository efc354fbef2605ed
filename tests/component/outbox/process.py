"""An outbox in a process of its own, to be killed: `python -m tests.component.outbox.process DATABASE RECEIVER`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

from healthd.model.catalogue import ChannelSpec
from healthd.notify import Outbox
from healthd.store import SqlStore


async def deliver(database: str, receiver: str) -> None:
    """Until killed."""
    store = SqlStore(database)
    await store.open()
    outbox = Outbox(store, observe=lambda channel, outcome: None, now=lambda: datetime.now(UTC))
    outbox.reconfigure({"team": ChannelSpec("team", "webhook", {"url": receiver, "unsigned": True})})
    outbox.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(deliver(*sys.argv[1:]))
