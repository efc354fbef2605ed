"""Run by test_failures in a process of its own: uses the store until it breaks, mends the cause, goes on.

    failure_script.py full|readonly FOLDER      inside a mount namespace where FOLDER is a small volume
    failure_script.py user URL                  as root: give up root's rights first

Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from healthd.store import SqlStore
from healthd.store.base import Commit, StoreError
from tests.component.store.examples import MINUTE, T0, outcome

NOBODY = 65534


def told(error: StoreError) -> dict[str, Any]:
    return {"reason": error.reason, "transient": error.transient}


class RefusedError(Exception):
    def __init__(self, error: StoreError, acknowledged: int) -> None:
        super().__init__(error.reason)
        self.error, self.acknowledged = error, acknowledged


async def commits(store: SqlStore, first: int, count: int) -> int:
    """How many were acknowledged until one was not; raises that one's error."""
    for number in range(first, first + count):
        run = outcome(at=T0 + number * MINUTE, value=float(number), cadence="x" * 2000)
        try:
            await store.commit(Commit(outcomes=(run,)))
        except StoreError as error:
            raise RefusedError(error, number - first) from None
    return count


async def full(where: str) -> dict[str, Any]:
    """Fill the volume, make room, go on."""
    folder = Path(where)
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 400_000)
    url = f"sqlite:///{folder / 'healthd.db'}"
    store = SqlStore(url)
    await store.open()
    try:
        await commits(store, 0, 10_000)
    except RefusedError as refused:
        found = told(refused.error) | {"acknowledged": refused.acknowledged}
    else:
        return {"reason": "it never got full"}
    found["readable"] = len(await store.outcomes("shop/web", limit=100_000))
    ballast.unlink()
    found["after"] = await commits(store, 20_000, 20)
    await store.close()
    await store.open()
    found["kept"] = len(await store.outcomes("shop/web", limit=100_000))
    await store.close()
    return found


async def readonly(where: str) -> dict[str, Any]:
    """The volume becomes read-only under an open store; then a store is opened on it."""
    folder = Path(where)
    url = f"sqlite:///{folder / 'healthd.db'}"
    found: dict[str, Any] = {}
    store = SqlStore(url)
    await store.open()
    await commits(store, 0, 3)
    await store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    for name, file in (("existing", "healthd.db"), ("new", "other.db")):
        try:
            await SqlStore(f"sqlite:///{folder / file}").open()
        except StoreError as error:
            found[name] = told(error)
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    await store.open()
    found["after"] = await commits(store, 10, 3)
    await store.close()
    return found


async def user(url: str) -> dict[str, Any]:
    """Open as somebody who may not."""
    store = SqlStore(url)  # imports what it needs while it may still be read
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        await store.open()
    except StoreError as error:
        return told(error)
    return {"reason": "it opened"}


if __name__ == "__main__":
    faulthandler.dump_traceback_later(90, exit=True)  # a second's work: says where it hangs before the test is ended
    what, where = sys.argv[1:]
    scenarios = {"full": full, "readonly": readonly, "user": user}
    print(json.dumps(asyncio.run(scenarios[what](where))))
