"""kill -9 while messages are being sent: none is lost, few are repeated, none overtakes another of its incident."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.component.outbox import process as outbox_process
from tests.servers.process import Process
from tests.servers.receiver import Receiver
from tests.telling import make_message

ROOT = Path(__file__).parents[3]
INCIDENTS, KILLS = 120, 3


@contextmanager
def running(database: str, receiver: Receiver, folder: Path) -> Iterator[None]:
    """The process, killed at the end."""
    argv = [sys.executable, "-m", outbox_process.__name__, database, receiver.url]
    process = Process(argv, folder / "outbox.log", cwd=ROOT).start()
    try:
        yield
    finally:
        process.stop(signal.SIGKILL)


async def test_nothing_is_lost_when_the_process_is_killed_again_and_again(tmp_path: Path, receiver: Receiver) -> None:
    database = f"sqlite:///{tmp_path}/healthd.db"
    store = SqlStore(database)
    await store.open()
    messages = [
        make_message(f"INC-{n}-{order}", group=f"INC-{n}", event=event, created_at=datetime.now(UTC))
        for order, event in enumerate(["firing", "resolved"])
        for n in range(INCIDENTS)
    ]
    await store.commit(Commit(messages=tuple(messages)))

    for kill in range(1, KILLS + 1):
        with running(database, receiver, tmp_path):
            await receiver.expect(len(messages) * kill // (KILLS + 1), timeout=20)
    with running(database, receiver, tmp_path):
        async with asyncio.timeout(30):
            while await store.outbox():
                await asyncio.sleep(0.05)
    await store.close()

    told = [request.headers["webhook-id"] for request in receiver.requests]
    assert set(told) == {message.id for message in messages}
    repeated = sum(count - 1 for count in Counter(told).values())
    assert repeated <= 4 * KILLS  # what was under way at each kill
    for n in range(INCIDENTS):
        assert told.index(f"INC-{n}-0") < told.index(f"INC-{n}-1")
