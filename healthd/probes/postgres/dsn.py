"""Where a PostgreSQL server is, as people write it: a URL or `key=value` words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import AfterValidator, SecretStr

__all__ = ["PostgresUrl", "Target", "parse_dsn"]

# What object mappers add to the URLs they share with us, unknown to the server's own client library.
_FOREIGN = {
    "schema", "connection_limit", "pool_timeout", "socket_timeout", "pgbouncer", "statement_cache_size",
    "sslaccept", "sslidentity", "uselibpqcompat",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A server and how to log in. `conninfo` holds the password: never show it; show `label`."""

    label: str  # user@host:port/database
    conninfo: dict[str, str] = field(repr=False)

    def addresses(self) -> list[tuple[str, int]]:
        """Host names and ports to look up; empty for sockets and where the URL gives the addresses itself."""
        hosts = self.conninfo.get("host", "").split(",")
        if "hostaddr" in self.conninfo or any(not h or h[0] in "/@" for h in hosts):
            return []
        ports = self.conninfo.get("port", "").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        return [(host, int(port or 5432)) for host, port in zip(hosts, ports, strict=True)]


def parse_dsn(dsn: str) -> Target:
    """Read a connection string. Raises ValueError that shows nothing of it but a wrong option's name."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    text, schema = _without_foreign_words(re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", dsn.strip()))
    if not text:
        raise ValueError("empty: expected postgresql://user:password@host:5432/database")
    try:
        params = {key: str(value) for key, value in conninfo_to_dict(text).items() if value is not None}
        target = Target(_label(params), params)
        target.addresses()
    except (ProgrammingError, ValueError) as error:
        raise ValueError(_what_is_wrong(str(error))) from None
    if schema:
        params["options"] = f"{params.get('options', '')} -c search_path={_escaped(schema)}".strip()
    return target


def _without_foreign_words(dsn: str) -> tuple[str, str]:
    """The connection string without what only object mappers know, and the schema it names."""
    if "://" not in dsn or "?" not in dsn:
        return dsn, ""
    base, _, query = dsn.partition("?")
    words = parse_qsl(query, keep_blank_values=True)
    kept = [(key, value) for key, value in words if key not in _FOREIGN]
    return f"{base}?{urlencode(kept, quote_via=quote)}" if kept else base, dict(words).get("schema", "")


def _label(params: dict[str, str]) -> str:
    user = f"{params['user']}@" if "user" in params else ""
    host = params.get("host") or params.get("hostaddr") or "local socket"
    port = f":{params['port']}" if "port" in params else ""
    name = params.get("dbname") or params.get("user", "")
    return f"{user}{host}{port}/{name}"


def _escaped(value: str) -> str:
    return re.sub(r"([\\ ])", r"\\\1", value)


def _what_is_wrong(message: str) -> str:
    option = re.search(r'(?:invalid URI query parameter|invalid connection option)[^"]*"(\w+)"', message)
    if option:
        return f"unknown option {option[1]!r} in the connection string"
    return (
        "not a PostgreSQL connection string: expected postgresql://user:password@host:5432/database, with /, @, : "
        "and % in the password percent-encoded, or words like host=db user=app dbname=shop"
    )


def _checked(url: SecretStr) -> SecretStr:
    parse_dsn(url.get_secret_value())
    return url


# The `url` parameter of every PostgreSQL probe.
PostgresUrl = Annotated[SecretStr, AfterValidator(_checked)]
