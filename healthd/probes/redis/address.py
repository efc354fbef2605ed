"""Where a Redis server is, as people write it: redis://, rediss:// (TLS) or unix://."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

__all__ = ["Address", "RedisUrl", "parse_url"]

EXPECTED = "expected redis://:password@host:6379/0, rediss://user:password@host:6380/0 or unix:///path/redis.sock"
# What says where and as whom; other options of a URL tune a client that is not ours
_TAKEN = re.compile(r"host|port|db|username|password|path|connection_class|ssl_\w+")


@dataclass(frozen=True, slots=True)
class Address:
    """A server and how to log in. `options` hold the password: never show them; show `label`."""

    label: str
    host: str  # empty for a socket file
    port: int
    tls: bool
    options: dict[str, Any] = field(repr=False)

    def connection(self, host: str | None = None) -> AbstractConnection:
        """A connection not yet made, to `host` (an address looked up) instead of the name."""
        from redis.asyncio import Connection

        from healthd.probes.redis.replies import CappedParser

        options = self.options | ({"host": host} if host else {})
        kind = options.pop("connection_class", Connection)
        # the pool keeps the time; the library's own time-outs can swallow a cancellation on Python 3.11
        options |= {"socket_timeout": None, "socket_connect_timeout": None}
        # keys may be any bytes: they are kept as they are, to be asked for again
        options |= {"decode_responses": True, "encoding_errors": "surrogateescape", "parser_class": CappedParser}
        # RESP2 and no driver_info: nothing but AUTH and SELECT is sent to set a connection up
        connection: AbstractConnection = kind(**options, protocol=2, driver_info=None)
        return connection


def parse_url(url: str) -> Address:
    """Read a URL. Raises ValueError that shows nothing of it but a wrong option's name."""
    from redis.asyncio.connection import parse_url as parse

    url = url.strip()
    if not re.match(r"(rediss?|unix)://", url):
        raise ValueError(f"not a Redis URL: {EXPECTED}" if url else f"empty: {EXPECTED}")
    try:
        options = {key: value for key, value in parse(url).items() if _TAKEN.fullmatch(key)}
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"not a Redis URL (is something in the password not percent-encoded?): {EXPECTED}") from None
    tls, path = url.startswith("rediss"), parts.path.strip("/")
    if parts.scheme != "unix" and path and not path.isdecimal():
        raise ValueError(f"the database in a Redis URL is a number, as in redis://host:6379/0, not {path!r}")
    host = str(options.get("host", "" if "path" in options else "localhost"))
    port = int(str(options.get("port", 6379)))
    address = Address(_label(options, host, port), host, port, tls, options)
    try:
        address.connection()
    except TypeError as error:
        option = re.search(r"argument '(\w+)'", str(error))
        raise ValueError(f"unknown option {option[1] if option else ''!r} in the Redis URL") from None
    return address


def _label(options: dict[str, Any], host: str, port: int) -> str:
    user = f"{options['username']}@" if "username" in options else ""
    place = f"{host}:{port}" if host else str(options.get("path"))
    return f"{user}{place}" + (f"/{options['db']}" if options.get("db") else "")


def _checked(url: SecretStr) -> SecretStr:
    parse_url(url.get_secret_value())
    return url


# The `url` parameter of every Redis probe.
RedisUrl = Annotated[SecretStr, AfterValidator(_checked)]
