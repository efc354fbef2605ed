"""A scratch PostgreSQL server of our own: on a socket inside the workspace, gone with it, whatever happens to us."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Any

from healthd.probes.base import ProbeError
from healthd.probes.blocking import Stop
from healthd.probes.restore.loading import NO_ROOM
from healthd.probes.restore.programs import Programs, run_program
from healthd.probes.restore.threads import StoppedError
from healthd.probes.restore.workspace import Workspace

__all__ = ["ScratchServer"]

_LOG_LINES, _LINE_MAX, _SHOWN_LINES, _SHOWN = 200, 4096, 3, 300
_STARTS_WITHIN, _STOPS_WITHIN = 60.0, 10.0  # seconds
_SOCKET_MAX = 107 - len("/.s.PGSQL.5432")
# A dump is not trusted: it is restored by a role that can reach neither files nor programs of this machine.
_SUPERUSER, _OWNER, _DATABASE = "healthd", "restorer", "restored"
# The server ends when our end of the pipe closes: also when healthd is killed.
_SUPERVISE = """
exec 3<&0
"$@" 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -QUIT $server; } &
watch=$!
exec 3<&-
wait $server
kill $watch 2>/dev/null
"""
# Nothing here outlives the drill: what only guards against crashes would cost time and disk.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "autovacuum": "off",
    "maintenance_work_mem": "256MB",
    "shared_buffers": "128MB",
    "logging_collector": "off",
    "lc_messages": "C",
}


class ScratchServer:
    """Made for one drill. Its methods block."""

    def __init__(self, programs: Programs, workspace: Workspace, user: str | None, *, trusted: bool) -> None:
        self._programs, self._user = programs, user
        self._owner = _SUPERUSER if trusted else _OWNER
        self._folder = workspace.folder
        self._data = workspace.folder / "data"
        self._said: deque[str] = deque(maxlen=_LOG_LINES)  # not on disk: a full one is what it may have to tell
        self._sockets = self._socket_folder(workspace.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.user = user  # whom the restoring programs run as

    @property
    def conninfo(self) -> dict[str, str]:
        """How to connect to the database that the backup goes into."""
        return {"host": str(self._sockets), "user": self._owner, "dbname": _DATABASE}

    def create(self, stop: Stop) -> None:
        """Make and start it, with an empty database. Raises ProbeError, StoppedError."""
        import psycopg

        self._initialise(stop)
        self._start()
        with self._connect(stop) as connection:
            try:
                connection.execute(f"CREATE ROLE {_OWNER} LOGIN")
                connection.execute(
                    f"CREATE DATABASE {_DATABASE} OWNER {self._owner} TEMPLATE template0 ENCODING 'UTF8'"
                )
            except psycopg.Error as error:
                raise ProbeError(f"the scratch server cannot make a database: {error}", "error") from None

    def out_of_room(self) -> bool:
        """Whether it complained of a full disk."""
        return any(NO_ROOM in line for line in self._said)

    def last_words(self) -> str:
        """The worst of what it logged, for people."""
        lines = [line for line in self._said if re.search(r" (PANIC|FATAL|ERROR|HINT):", line)]
        return " ".join((lines or list(self._said))[-_SHOWN_LINES:])[-_SHOWN:]

    def drop(self) -> None:
        """End it. What is left of it goes with the workspace."""
        process = self._process
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(_STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._sockets != self._folder:
            with contextlib.suppress(OSError):
                for name in self._sockets.iterdir():
                    name.unlink()
                self._sockets.rmdir()

    def _socket_folder(self, folder: Path) -> Path:
        """The workspace, unless its path is too long for a socket."""
        if len(os.fsencode(folder)) <= _SOCKET_MAX:
            return folder
        short = Path(tempfile.mkdtemp(prefix="healthd-"))
        if self._user is not None:
            shutil.chown(short, self._user)
        return short

    def _initialise(self, stop: Stop) -> None:
        said: list[str] = []
        argv = [
            *(self._programs["initdb"], "-D", str(self._data), "-U", _SUPERUSER, "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-sync"),
        ]
        try:
            code = run_program(argv, env=self._environment(), user=self._user, stop=stop, line=said.append)
        except OSError as error:
            raise ProbeError(f"{self._programs} cannot be run: {error.strerror}", "config") from None
        if code != 0:
            words = " ".join(" ".join(said).split())[-300:] or f"it ended with {code}"
            raise ProbeError(f"the scratch server cannot be made in {self._folder}: {words}", "config")

    def _start(self) -> None:
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        argv = [self._programs["postgres"], "-D", str(self._data), "-k", str(self._sockets), *options]
        self._process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            ["/bin/sh", "-c", _SUPERVISE, "sh", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self._environment(), cwd="/", user=self._user, start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(_LINE_MAX):
                self._said.append(line.decode(errors="replace").strip())

    def _connect(self, stop: Stop) -> Any:
        """A connection, as soon as it takes one."""
        import psycopg

        assert self._process is not None
        deadline = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                return psycopg.connect(
                    host=str(self._sockets), user=_SUPERUSER, dbname="postgres", autocommit=True, connect_timeout=5
                )
            except psycopg.OperationalError:
                if stop.is_set():
                    raise StoppedError from None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise ProbeError(f"the scratch server does not start: {self.last_words()}", "error") from None
                stop.wait(0.05)

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self._folder)}
