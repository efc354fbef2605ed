"""A streaming replica of an emulated production's PostgreSQL: a real one, made by pg_basebackup."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

from healthd.sandbox.child import Child, SandboxError, free_port
from healthd.sandbox.parts.database import Database


class Replica:
    """A standby in `folder` of a server that runs, run as the same user."""

    def __init__(self, folder: Path, log: Path, primary: Database) -> None:
        self.port = free_port()
        self._folder, self._log, self._primary = folder, log, primary
        self._child: Child | None = None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    async def start(self) -> None:
        """Copy the server, the first time, and follow it."""
        if self._child is None:
            await asyncio.to_thread(self._copy)
            self._child = Child(
                "replica",
                [self._primary.binaries / "postgres", "-D", self._folder / "data", "-p", str(self.port)],
                self._log, user=self._primary.user, cwd=self._folder, stop_signal=signal.SIGINT,
            )  # fmt: skip
        self._child.start()
        await self._child.listening(self.port)

    async def stop(self) -> None:
        """Stop it; the server goes on without."""
        if self._child is not None:
            await self._child.stop()

    async def pause(self) -> None:
        """Receive, but replay nothing: fall behind with whatever is written."""
        await self._execute("SELECT pg_wal_replay_pause()")

    async def resume(self) -> None:
        """Catch up."""
        await self._execute("SELECT pg_wal_replay_resume()")

    async def _execute(self, sql: str) -> None:
        from psycopg import AsyncConnection, OperationalError

        own = self._primary.administrator_url.replace(f":{self._primary.port}/", f":{self.port}/")
        try:
            async with await AsyncConnection.connect(own, autocommit=True) as connection:
                await connection.execute(sql.encode())
        except OperationalError as error:
            raise SandboxError(f"the replica does not answer: {str(error).strip()}") from error

    def _copy(self) -> None:
        self._folder.mkdir(mode=0o700)
        if self._primary.user is not None:
            shutil.chown(self._folder, self._primary.user)
        url = self._primary.administrator_url.rpartition("/")[0]
        argv: list[str | Path] = [
            *(self._primary.binaries / "pg_basebackup", "-D", self._folder / "data", "-d", url, "-R", "-X", "stream"),
            *("-c", "fast", "--no-sync", "--no-password"),
        ]
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            argv, user=self._primary.user, cwd=self._folder, env={**os.environ, "HOME": str(self._folder)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise SandboxError(f"PostgreSQL's pg_basebackup failed:\n{done.stdout}{done.stderr}")
