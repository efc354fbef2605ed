"""Read-only sessions on a PostgreSQL server, shared by all checks that name it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.network import Resolver, error_kind, explain_os_error, no_answer, patience, shared_resolver
from healthd.probes.pool import BusyError, Lease, Pool
from healthd.probes.postgres.dsn import Target, parse_dsn
from healthd.probes.postgres.errors import explain_login, explain_query

if TYPE_CHECKING:
    from psycopg import AsyncConnection

__all__ = ["Session", "look"]

T = TypeVar("T")
Session = Lease["AsyncConnection[Any]"]

# Whatever else a role or a URL says, each session begins like this.
_OPTIONS = "-c default_transaction_read_only=on"


class _Sessions:
    """How the pool opens, readies and ends PostgreSQL sessions."""

    def __init__(self, target: Target, resolver: Resolver) -> None:
        self.target, self._resolver = target, resolver
        self._options = True

    async def open(self) -> AsyncConnection[Any]:
        from psycopg import Error

        conninfo = self.target.conninfo | await self._addresses()
        try:
            return await self._connect(conninfo)
        except Error as error:
            raise explain_login(error, self.target.label) from None
        except asyncio.CancelledError as error:
            # its traceback would keep the half-open connection alive for as long as somebody keeps the error
            raise error.with_traceback(None) from None

    async def _connect(self, conninfo: dict[str, str]) -> AsyncConnection[Any]:
        from psycopg import OperationalError

        from healthd.probes.postgres.capped import CappedConnection

        own = {"application_name": "healthd", "autocommit": True, "prepare_threshold": None}
        if not self._options:
            return await CappedConnection.connect(**{**conninfo, **own})  # type: ignore[arg-type]
        options = f"{conninfo.get('options', '')} {_OPTIONS}".strip()
        try:
            return await CappedConnection.connect(**{**conninfo, **own, "options": options})  # type: ignore[arg-type]
        except OperationalError as error:
            # PgBouncer takes no options; the read-only transaction of every look remains
            if "unsupported startup parameter" not in str(error):
                raise
            self._options = False
            conninfo.pop("options", None)
            return await CappedConnection.connect(**{**conninfo, **own})  # type: ignore[arg-type]

    async def _addresses(self) -> dict[str, str]:
        """Hosts with their addresses, looked up where a hanging name server holds up nobody else."""
        found: list[tuple[str, str, int]] = []
        failure: ProbeError | None = None
        for host, port in self.target.addresses():
            try:
                answers = await self._resolver.lookup(host, port)
            except OSError as error:
                failure = ProbeError(f"{explain_os_error(error, host)} ({self.target.label})", error_kind(error))
                continue
            found += [(host, str(answer[4][0]), port) for answer in answers]
        if failure is not None and not found:
            raise failure
        if not found:
            return {}
        hosts, addresses, ports = zip(*dict.fromkeys(found), strict=True)
        return {"host": ",".join(hosts), "hostaddr": ",".join(addresses), "port": ",".join(map(str, ports))}

    async def begin(self, connection: AsyncConnection[Any], seconds: float) -> None:
        milliseconds = max(2, int(seconds * 950))
        settings = (
            f"statement_timeout = {milliseconds}",
            f"lock_timeout = {milliseconds // 2}",
            f"idle_in_transaction_session_timeout = {milliseconds * 2}",
            "standard_conforming_strings = on",  # statements were checked in that reading
            "cursor_tuple_fraction = 1",
        )
        await connection.execute("; SET LOCAL ".join(("BEGIN TRANSACTION READ ONLY", *settings)).encode())

    async def end(self, connection: AsyncConnection[Any]) -> None:
        await connection.execute("ROLLBACK")

    def abort(self, connection: AsyncConnection[Any], task: asyncio.Task[Any]) -> None:
        import psycopg

        # Cancelling would make psycopg ask the server to cancel the query and wait for it: a hung server never
        # answers. End of file on the socket ends whatever waits on it; the server's own time-out ends the query.
        with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as twin:
            twin.shutdown(socket.SHUT_RDWR)

    async def close(self, connection: AsyncConnection[Any]) -> None:
        await connection.close()


async def look(
    context: ProbeContext, url: SecretStr, work: Callable[[Session], Coroutine[Any, Any, T]], *, fresh: bool = False
) -> T:
    """The result of `work` inside a read-only transaction that is always rolled back. Raises ProbeError.

    `fresh` connects anew, so that what keeps new sessions out is seen.
    """
    import psycopg

    async def make() -> Pool[AsyncConnection[Any]]:
        resolver = await shared_resolver(context.resources)
        return Pool(_Sessions(parse_dsn(url.get_secret_value()), resolver))

    pool = await context.resources.get(("postgres", url), make, Pool.close)
    try:
        return await pool.run(work, patience(context.timeout), fresh=fresh)
    except TimeoutError:
        raise ProbeError(no_answer(context.timeout, _label(url)), "timeout") from None
    except BusyError as error:
        raise ProbeError(f"{error} ({_label(url)})", "busy") from None
    except psycopg.Error as error:
        raise explain_query(error, _label(url)) from None


def _label(url: SecretStr) -> str:
    return f"PostgreSQL {parse_dsn(url.get_secret_value()).label}"
