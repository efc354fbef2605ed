"""Dumps of an emulated production's PostgreSQL, by the real pg_dump."""

from __future__ import annotations

import asyncio
import os
import subprocess
from urllib.parse import urlsplit

from healthd.sandbox.child import SandboxError
from healthd.sandbox.parts.database import Database


async def dump(database: Database, *, custom: bool = False) -> bytes:
    """The whole database as SQL, or in pg_dump's custom format. SandboxError when it cannot be dumped."""
    return await asyncio.to_thread(_dump, database, "custom" if custom else "plain")


def _dump(database: Database, kind: str) -> bytes:
    target = urlsplit(database.administrator_url)
    where = ("-h", target.hostname or "", "-p", str(target.port), "-U", target.username or "")
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [database.binaries / "pg_dump", *where, f"--format={kind}", "-d", target.path.lstrip("/")],
        env={**os.environ, "PGPASSWORD": target.password or ""}, cwd="/", capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SandboxError(f"pg_dump failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
