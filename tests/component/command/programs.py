"""Programs to run, and what is left of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from healthd.probes import PROBES

PROBE = PROBES["command"]


def sh(script: str, **params: object) -> dict[str, object]:
    return {"argv": ["sh", "-c", script], **params}


def children() -> set[int]:
    """Every child of this process, zombies included."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, parent, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(parent) == os.getpid():
            found.add(int(stat.parent.name))
    return found


Leftovers = Callable[[], Awaitable[set[int]]]


async def gone(pid: int) -> bool:
    """Whether the process is gone, or soon is."""
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True  # ended; who inherited it has to reap it
        except OSError:
            return True
        await asyncio.sleep(0.01)
    return False
