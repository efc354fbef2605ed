"""Dumps of an emulated production's PostgreSQL, by the real pg_dump."""

from __future__ import annotations

import asyncio
import os
import subprocess
from urllib.parse import urlsplit

from healthd.sandbox.child import SandboxError
from healthd.sandbox.parts.database import Database


async def dump(database: Database) -> bytes:
    """The whole database as SQL. SandboxError when it cannot be dumped."""
    return await asyncio.to_thread(_dump, database)


def _dump(database: Database) -> bytes:
    target = urlsplit(database.administrator_url)
    where = ("-h", target.hostname or "", "-p", str(target.port), "-U", target.username or "")
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [database.binaries / "pg_dump", *where, "-d", target.path.lstrip("/")],
        env={**os.environ, "PGPASSWORD": target.password or ""}, cwd="/", capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SandboxError(f"pg_dump failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
