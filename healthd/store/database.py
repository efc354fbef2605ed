"""One open database: a writer thread, a few reader threads, and everything that goes wrong as StoreError."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from healthd.store.backend import Backend
from healthd.store.base import Commit, Lead, StoreError
from healthd.store.migrate import bring_up_to_date
from healthd.store.statements import Step, commit_steps
from healthd.store.writer import Writer

T = TypeVar("T")
READERS = 2  # a long history query keeps one of them busy; the outbox has the other


class Database:
    """`redact` goes over every StoreError's reason. `exclusive`: refuse a database another daemon has claimed."""

    def __init__(self, backend: Backend, redact: Callable[[str], str], *, exclusive: bool = False) -> None:
        self._backend, self._redact, self._exclusive = backend, redact, exclusive
        self._writer: Writer | None = None
        self._engine: Engine | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._leader: ThreadPoolExecutor | None = None
        self._lead_connection: Any = None

    async def open(self) -> None:
        """Connect and migrate."""
        if self._writer is not None:
            return
        readers = ThreadPoolExecutor(READERS, thread_name_prefix="healthd-store-reader")
        loop = asyncio.get_running_loop()
        try:
            connection = await loop.run_in_executor(readers, self._guarded, self._connect)
        except BaseException:
            readers.shutdown(wait=False)
            raise
        self._readers, self._engine = readers, self._backend.engine(read_only=True)
        self._writer = Writer(self._backend, connection, loop)

    def _connect(self) -> object:
        if self._exclusive:
            self._backend.claim()
        try:
            bring_up_to_date(self._backend)
            return self._backend.connect()
        except BaseException:
            self._backend.release()
            raise

    async def close(self) -> None:
        """Finish what was handed over, then let go of everything."""
        writer, readers, engine = self._writer, self._readers, self._engine
        self._writer = self._readers = self._engine = None
        if writer is None or readers is None or engine is None:
            return
        await asyncio.get_running_loop().run_in_executor(readers, writer.finish)
        readers.shutdown(wait=True)
        if self._leader is not None:
            self._leader.shutdown(wait=False)
            self._leader = None
        if self._lead_connection is not None:
            self._lead_connection.close()
            self._lead_connection = None
        engine.dispose()
        self._backend.release()

    async def lead(self, holder: str, address: str, lasts: timedelta) -> Lead:
        """Take or keep the lead. On a connection and thread of its own: it must not wait behind a long commit."""
        writer = self._opened()
        lead = await self._leading(lambda c: self._backend.lead(c, holder, address, lasts.total_seconds()))
        if lead.mine:
            writer.fence = (holder, lead.epoch)
        return lead

    async def resign(self, holder: str) -> None:
        """Let go of the lead."""
        await self._leading(lambda c: self._backend.resign(c, holder))

    async def _leading(self, work: Callable[[Any], T]) -> T:
        self._opened()
        if self._leader is None:
            self._leader = ThreadPoolExecutor(1, thread_name_prefix="healthd-store-lead")
        return await asyncio.get_running_loop().run_in_executor(self._leader, self._guarded, self._led, work)

    def _led(self, work: Callable[[Any], T]) -> T:
        try:
            if self._lead_connection is None:
                self._lead_connection = self._backend.connect()
            return work(self._lead_connection)
        except BaseException:
            connection, self._lead_connection = self._lead_connection, None
            if connection is not None:
                with suppress(Exception):  # whatever it still says, a new one is made
                    connection.close()
            raise

    async def commit(self, commit: Commit) -> None:
        """Write all of it or nothing, in one transaction with whatever else is committed at this moment."""
        await self._settled(self._opened().submit(lambda: commit_steps(commit), mixed=True))

    async def write(self, prepare: Callable[[], Sequence[Step]]) -> int:
        """Write the steps `prepare` gives, in their order; the rows changed."""
        return await self._settled(self._opened().submit(prepare))

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query in a reader thread."""
        self._opened()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._guarded, self._query, query)

    def _query(self, query: Callable[[Connection], T]) -> T:
        if self._engine is None:
            raise _closed()
        with self._engine.connect() as connection:
            return query(connection)

    def _opened(self) -> Writer:
        if self._writer is None:
            raise _closed()
        return self._writer

    async def _settled(self, done: asyncio.Future[int]) -> int:
        try:
            return await done
        except StoreError as error:
            raise self._redacted(error) from None

    def _guarded(self, call: Callable[..., T], *args: object) -> T:
        """Run `call`; what a driver or SQLAlchemy raises becomes a StoreError. Its cause is dropped on purpose:
        a driver's own words may hold a password."""
        try:
            return call(*args)
        except StoreError as error:
            raise self._redacted(error) from None
        except DBAPIError as error:
            raise self._redacted(self._backend.explain(error.orig or error)) from None
        except (SQLAlchemyError, OSError) as error:
            raise self._redacted(StoreError(f"the database cannot be read: {error}")) from None
        except Exception as error:  # noqa: BLE001 the drivers' own errors: which driver only the backend knows
            raise self._redacted(self._backend.explain(error)) from None

    def _redacted(self, error: StoreError) -> StoreError:
        return StoreError(self._redact(error.reason), transient=error.transient)


def _closed() -> StoreError:
    return StoreError("the store is not open", transient=False)
