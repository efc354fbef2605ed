"""A daemon that kills itself between two writes: `python -m tests.component.kill_harness FOLDER RECEIVER DATABASE`.

Reads lines "POINT break|mend" and for each forks a daemon (without its page) over FOLDER, which breaks or mends what it
looks at, looks, and is ended by SIGKILL just before its POINTth write from then on (the beginning and the commit of a
transaction count as writes), or once everybody has been told. Says "pid N" when it begins and "ended STATUS" then.
On PostgreSQL many rows of one table are one write, and the lead of who was killed is over at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg

from healthd.app import App
from healthd.settings import Settings

SECRET = "whsec_" + "c2VjcmV0" * 4
CATALOGUE = """\
system: {name: shop, title: Shop}
severities: {SEV1: {}}
checks:
  - name: flag
    title: The flag is there
    cron: "0 0 29 2 *"
    severity: SEV1
    probe: {type: files, glob: "FLAG*"}
    thresholds: {measure: count, target: ">= 1", critical: "< 1"}
"""
WRITES = ("BEGIN", "INSERT", "UPDATE", "DELETE", "COMMIT")
ENTRIES = {f.__code__ for f in (psycopg.Cursor.execute, psycopg.Cursor.executemany, psycopg.Connection.commit)}


class Fuse:
    """Counts the writes to the database once it is lit: SQLite says what it executes; with psycopg it is seen when its
    functions are called, by threads begun after this."""

    def __init__(self, *, server: bool) -> None:
        self._left = 0
        self._connections: list[sqlite3.Connection] = []
        if server:
            threading.setprofile(self._called)
        else:
            sys.addaudithook(self._audit)

    def light(self, point: int) -> None:
        self._left = point
        for connection in self._connections:
            with suppress(sqlite3.ProgrammingError):  # another thread's own, which reads
                connection.set_trace_callback(self._executes)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "sqlite3.connect/handle":
            self._connections.append(arguments[0])

    def _called(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in ENTRIES:
            statement = str(frame.f_locals.get("query", "COMMIT")).strip()
            if "healthd_lease" not in statement:  # kept as time passes, whatever there is to tell
                self._executes(statement)

    def _executes(self, statement: str) -> None:
        if self._left and statement.startswith(WRITES):
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


async def live(folder: Path, receiver: str, database: str, point: int, breaks: bool) -> None:
    fuse = Fuse(server=is_server(database))
    app = App(
        Settings(
            checks=str(folder / "checks"),
            database_url=database,
            webhook_url=receiver,
            webhook_secret=SECRET,
            reload_watch=False,
        )
    )
    app.read_catalogue()
    await app.start()
    flag = folder / "flag"
    flag.unlink(missing_ok=True) if breaks else flag.touch()
    fuse.light(point)
    await app.run_now("shop/flag", "harness")
    while await app.store.outbox():
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def is_server(database: str) -> bool:
    return database.startswith("postgresql")


def bury(database: str) -> None:
    """Whoever led is dead: nobody has to wait until its lead is over."""
    with psycopg.connect(database, autocommit=True) as connection:
        (known,) = connection.execute("SELECT to_regclass('healthd_lease')").fetchone() or (None,)
        if known:
            connection.execute("UPDATE healthd_lease SET expires_at = '-infinity'")


def main(folder: Path, receiver: str, database: str) -> None:
    (folder / "checks" / "shop").mkdir(parents=True, exist_ok=True)
    (folder / "checks" / "shop" / "system.yaml").write_text(CATALOGUE.replace("FLAG", str(folder / "flag")))
    for line in sys.stdin:
        point, what = line.split()
        if is_server(database):
            bury(database)
        pid = os.fork()
        if not pid:
            sys.stdin.close()
            os.dup2(2, 1)  # what it logs is not what the harness says
            asyncio.run(live(folder, receiver, database, int(point), what == "break"))
            os._exit(1)
        print(f"pid {pid}", flush=True)
        _, status = os.waitpid(pid, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
