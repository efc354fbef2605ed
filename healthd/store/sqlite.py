"""The embedded database: one file, WAL journal, every commit on the disk before it counts."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine

from healthd.store.base import Lead, StoreError
from healthd.store.claim import Claim

BUSY_TIMEOUT = 5  # seconds to wait for another process's lock
SHAPE = "write sqlite:///file.db (relative) or sqlite:////folder/file.db (absolute, four slashes)"
_NO_SPACE = 64 * 1024  # less than this is full: the journal grows by pages and needs a few at once


class _Connection(sqlite3.Connection):
    """Knows which file it writes to: that goes on after the file has been deleted or replaced."""

    file: tuple[int, int] | None = None


class SqliteBackend:
    """sqlite:///relative.db or sqlite:////absolute.db."""

    def __init__(self, url: str) -> None:
        self._path = _path_of(url)
        self._claim = Claim(self._path.with_name(self._path.name + "-lock"))

    def claim(self) -> None:
        """Two daemons on one file would run every check and tell everything twice."""
        try:
            owner = self._claim.take()
        except OSError as error:
            raise self._unclaimable(error) from None
        if owner is not None:
            raise StoreError(
                f"{self._path} belongs to another healthd{owner}: stop that one, or give this one a database of its own"
            )

    def release(self) -> None:
        """So that the next one can have it."""
        self._claim.release()

    def connect(self) -> _Connection:
        """One transaction at a time, begun by hand; synchronous=FULL: a commit returns after fsync."""
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        try:
            connection.file = _identity(self._path)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA journal_size_limit={64 * 2**20}")  # after a burst the journal shrinks again
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def begin(self, connection: _Connection) -> sqlite3.Cursor:
        """IMMEDIATE: take the write lock now, where waiting for it is safe."""
        if _identity(self._path) != connection.file:
            raise StoreError(
                f"{self._path} was deleted, moved or replaced while healthd was running: put it back as it was,"
                " or restart healthd to go on with what is there now"
            )
        return connection.execute("BEGIN IMMEDIATE")

    def is_lost(self, connection: sqlite3.Connection) -> bool:
        """A file does not hang up."""
        return False

    def placeholders(self, sql: str) -> str:
        """SQLite's own are question marks."""
        return sql

    def engine(self, *, read_only: bool) -> Engine:
        """Readers see the last commit and never wait for the writer."""
        if read_only:
            return create_engine("sqlite://", creator=self._connect_reader, poolclass=QueuePool, pool_size=2)
        return create_engine("sqlite://", creator=self.connect, poolclass=NullPool)

    def _connect_reader(self) -> sqlite3.Connection:
        connection = self.connect()
        connection.execute("PRAGMA query_only=ON")
        return connection

    def lock_schema(self, connection: Connection) -> None:
        """The write lock of the file is the lock."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def lead(self, connection: _Connection, holder: str, address: str, seconds: float) -> Lead:
        """The claim on the file is the lead."""
        return Lead(holder, address, 1, mine=True)

    def resign(self, connection: _Connection, holder: str) -> None:
        """`release` gives it up."""

    def fence(self, cursor: sqlite3.Cursor, holder: str, epoch: int) -> None:
        """Nobody else can have it."""

    def explain(self, error: BaseException) -> StoreError:
        """By SQLite's error code, then by a look at the file: its own words name neither path nor cause."""
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return self._out_of_space(error, full=primary == sqlite3.SQLITE_FULL)
        if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return self._not_accessible(error)
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(
                f"{self._path} is locked by another process for more than {BUSY_TIMEOUT} s:"
                " stop the other healthd or whatever else writes to it"
            )
        if primary == sqlite3.SQLITE_NOTADB:
            return StoreError(
                f"{self._path} is not a SQLite database: name another file or move this one away", transient=False
            )
        if primary == sqlite3.SQLITE_CORRUPT:
            return StoreError(
                f"{self._path} is damaged ({error}): stop healthd, then restore a backup or rescue what is left with"
                f" sqlite3 {self._path} .recover",
                transient=False,
            )
        return StoreError(f"{self._path} did not take it: {error}", transient=False)

    def _unclaimable(self, error: OSError) -> StoreError:
        if error.errno == errno.ENOSPC:
            return self._out_of_space(error, full=True)
        return self._not_accessible(error)

    def _out_of_space(self, error: BaseException, *, full: bool) -> StoreError:
        free = _free_bytes(self._path)
        if full or (free is not None and free < _NO_SPACE):
            left = "" if free is None else f" ({free} bytes free)"
            return StoreError(f"no space left for {self._path}{left}: make room on {self._path.parent}")
        return StoreError(f"reading or writing {self._path} failed ({error}): look at the disk and the system log")

    def _not_accessible(self, error: BaseException) -> StoreError:
        path, folder = self._path, self._path.parent
        misplaced = self._misplaced()
        if misplaced:
            return StoreError(misplaced, transient=False)
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return StoreError(f"{path} is on a volume mounted read-only: remount it or name another place")
        if not os.access(folder, os.W_OK | os.X_OK):
            return StoreError(f"no permission to write in the folder {folder}: {_remedy(folder)}", transient=False)
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            return StoreError(f"no permission to read and write {path}: {_remedy(path)}", transient=False)
        return StoreError(f"{path} cannot be opened for writing: {error}")

    def _misplaced(self) -> str:
        path, folder = self._path, self._path.parent
        try:
            folder.stat()
        except PermissionError:
            return f"no permission to reach the folder {folder}: healthd runs as user {os.geteuid()}"
        except OSError:
            return f"the folder {folder} of {path.name} does not exist: create it"
        if not folder.is_dir():
            return f"{folder} is not a folder: name another place for {path.name}"
        if os.access(folder, os.X_OK) and path.is_dir():
            return f"{path} is a folder: name a file in it, {path}/healthd.db for example"
        return ""


def _path_of(url: str) -> Path:
    rest = url.removeprefix("sqlite:")
    if not rest.startswith("//"):
        raise StoreError(f"the database URL {url} is not complete: {SHAPE}", transient=False)
    host, slash, path = rest[2:].partition("/")
    if host and host != ":memory:":
        raise StoreError(f"the database URL {url} has too few slashes: {SHAPE}", transient=False)
    if not slash or path in ("", ":memory:"):
        raise StoreError(
            f"the database URL {url} names no file, and records must outlive the process: {SHAPE}", transient=False
        )
    if "?" in path:
        raise StoreError(
            "a SQLite database URL takes no options: leave out the question mark and what follows", transient=False
        )
    if "\x00" in path:
        raise StoreError(f"the database URL holds a NUL character: {SHAPE}", transient=False)
    return Path(path).absolute()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _free_bytes(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return None


def _remedy(path: Path) -> str:
    owner = path.stat().st_uid
    return f"it belongs to user {owner}, healthd runs as user {os.geteuid()}"
