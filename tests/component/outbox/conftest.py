"""The outbox of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from healthd.store import SqlStore
from tests.component.outbox.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = SqlStore(f"sqlite:///{tmp_path}/healthd.db")
    await store.open()
    made = Desk(store)
    yield made
    await made.outbox.stop(1)
    await store.close()
