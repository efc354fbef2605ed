"""Folders of files to look at."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.component.looking import Looker, values

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def put(path: Path, content: bytes = b"x", age: timedelta = timedelta(0)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    changed = (NOW - age).timestamp()
    os.utime(path, (changed, changed))
    return path


async def count(look: Looker, glob: str, **params: object) -> float | str:
    return values(await look(glob=glob, **params))["count"]
