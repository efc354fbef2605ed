"""Asking Redis: a few shared connections per URL, and nothing but commands that read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.network import Resolver, no_answer, patience, shared_resolver
from healthd.probes.pool import BusyError, Lease, Pool
from healthd.probes.redis.address import Address, parse_url
from healthd.probes.redis.errors import explain

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

__all__ = ["Asker", "Reply", "checked", "look"]

T = TypeVar("T")
Reply = Any  # str, int, list, None, or the exception an error reply became
COMMANDS = frozenset(
    {"PING", "INFO", "DBSIZE", "SCAN", "TYPE", "LLEN", "SCARD", "ZCARD", "HLEN", "XLEN", "XPENDING", "PTTL"}
)
SUBCOMMANDS = frozenset({("CONFIG", "GET"), ("SLOWLOG", "GET"), ("SLOWLOG", "LEN"), ("MEMORY", "USAGE")})


class Asker:
    """One connection, as far as probes may use it. `connect_time` in seconds, None when it was open already."""

    def __init__(self, connection: AbstractConnection, connect_time: float | None = None) -> None:
        self._connection, self.connect_time = connection, connect_time

    async def ask(self, *command: str) -> Reply:
        """The answer to one command. Raises redis.RedisError for an error reply."""
        return checked((await self.ask_all([command]))[0])

    async def ask_all(self, commands: list[tuple[str, ...]]) -> list[Reply]:
        """The answers to several commands sent together; an error reply is an exception in the list."""
        from redis import ResponseError

        if refused := [c[0] for c in commands if c[0] not in COMMANDS and c[:2] not in SUBCOMMANDS]:
            raise ValueError(f"{refused[0]} is not among the commands a probe may send")
        await self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        replies: list[Reply] = []
        for _ in commands:
            try:
                replies.append(await self._connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies


def checked(reply: Reply) -> Reply:
    """One of several replies. Raises the error that it is."""
    if isinstance(reply, Exception):
        raise reply
    return reply


class _Connections:
    """How the pool opens, proves and closes Redis connections."""

    def __init__(self, address: Address, resolver: Resolver) -> None:
        self.address, self._resolver = address, resolver
        self._tls: Any = None  # one TLS context for all: making one reads every trusted certificate

    async def open(self) -> AbstractConnection:
        from redis import RedisError

        try:
            return await self._connect(await self._hosts())
        except (RedisError, OSError) as error:
            raise explain(error, self.address) from None

    async def _hosts(self) -> list[str | None]:
        """Addresses to try. Looking up here first, a hanging name server holds up no other probe."""
        if not self.address.host:
            return [None]
        found = await self._resolver.lookup(self.address.host, self.address.port)
        return [None] if self.address.tls else [str(answer[4][0]) for answer in found]

    async def _connect(self, hosts: list[str | None]) -> AbstractConnection:
        for host in hosts[:-1]:
            try:
                return await self._connect_to(host)
            except OSError:
                continue
        return await self._connect_to(hosts[-1])

    async def _connect_to(self, host: str | None) -> AbstractConnection:
        from redis import ConnectionError as RedisConnectionError

        connection = self.address.connection(host)
        if self.address.tls:
            self._tls = connection.ssl_context = self._tls or connection.ssl_context  # type: ignore[attr-defined]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except RedisConnectionError as error:
            await connection.disconnect(nowait=True)
            # the reason: what the library says hides whether it was refused, unreachable or TLS
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def begin(self, connection: AbstractConnection, seconds: float) -> None:
        # any answer proves the connection, also one that says no
        await Asker(connection).ask_all([("PING",)])

    async def end(self, connection: AbstractConnection) -> None:
        """Commands that read leave nothing behind."""

    def abort(self, connection: AbstractConnection, task: asyncio.Task[Any]) -> None:
        task.cancel()

    async def close(self, connection: AbstractConnection) -> None:
        await connection.disconnect(nowait=True)


async def look(
    context: ProbeContext, url: SecretStr, work: Callable[[Asker], Coroutine[Any, Any, T]], *, fresh: bool = False
) -> T:
    """The result of `work` on a connection to Redis. Raises ProbeError.

    `fresh` connects anew, so that what keeps new clients out is seen.
    """
    from redis import RedisError

    async def make() -> Pool[AbstractConnection]:
        resolver = await shared_resolver(context.resources)
        return Pool(_Connections(_address(url), resolver))

    async def ask(lease: Lease[AbstractConnection]) -> T:
        return await work(Asker(lease.connection, lease.connect_time))

    pool = await context.resources.get(("redis", url), make, Pool.close)
    try:
        return await pool.run(ask, patience(context.timeout), fresh=fresh)
    except TimeoutError:
        raise ProbeError(no_answer(context.timeout, f"Redis {_address(url).label}"), "timeout") from None
    except BusyError as error:
        raise ProbeError(f"{error} (Redis {_address(url).label})", "busy") from None
    except (RedisError, OSError) as error:
        raise explain(error, _address(url)) from None


def _address(url: SecretStr) -> Address:
    return parse_url(url.get_secret_value())
