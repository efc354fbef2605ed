"""Run by test_crash: commits as fast as it can and prints the id of every commit that was acknowledged."""

from __future__ import annotations

import asyncio
import os
import sys

from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.component.store.examples import MINUTE, T0, entry, message, outcome


async def main(url: str, round_: str) -> None:
    store = SqlStore(url)
    await store.open()

    async def caller(name: int) -> None:
        number = 0
        while True:
            id_ = f"{round_}-{name}-{number}"
            run = outcome(f"shop/{round_}-{name}", T0 + number * MINUTE, value=1.0)
            said, told = entry(id_, incident_id=id_), message(number, group=id_, id=id_)
            await store.commit(Commit((run,), timeline=(said,), messages=(told,)))
            os.write(1, f"{id_}\n".encode())
            number += 1

    await asyncio.gather(*(caller(name) for name in range(20)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
