"""What was taken once is not taken again: repetitions and replays are recognised by the id of what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthd.model.records import Record
from healthd.store.base import Commit
from healthd.web.desk import Desk

KIND = "hook"


async def is_known(desk: Desk, service: str, key: str) -> bool:
    """Whether it was taken already."""
    return await recall(desk, service, key) is not None


async def recall(desk: Desk, service: str, key: str) -> Mapping[str, Any] | None:
    """What was kept with it."""
    record = await desk.ask(desk.daemon.store.record(KIND, f"{service}/{key}"))
    return record.body if record else None


async def keep(desk: Desk, service: str, key: str, body: Mapping[str, Any] | None = None) -> None:
    """Remember that it was taken. After it was acted upon: what is cut short in between is acted upon again, and that
    changes nothing."""
    now = desk.now()
    record = Record(KIND, f"{service}/{key}", now, name=service, closed_at=now, body=dict(body or {}))
    await desk.ask(desk.daemon.store.commit(Commit(records=(record,))))
