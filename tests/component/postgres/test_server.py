"""The probe postgres: is the server there, and if not, whose fault is it?"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
import trustme
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from tests.component.looking import Looker, values
from tests.servers.postgres import PostgresServer, system_binaries
from tests.servers.process import free_port


@pytest.mark.probe("postgres")
async def test_a_running_server(postgres: PostgresServer, server: Looker) -> None:
    seen = await server(url=postgres.url())
    measured = values(seen)
    assert (measured["up"], measured["in_recovery"]) == (1, 0)
    assert 0 < float(measured["latency"]) < float(measured["connect_time"]) < 5
    assert float(measured["version"]) >= 150000
    assert float(measured["uptime"]) > 0
    assert seen.note == ""


async def test_key_value_words_and_urls_of_object_mappers(postgres: PostgresServer, shop: str, server: Looker) -> None:
    words = f"host=127.0.0.1 port={postgres.port} user=healthd password={postgres.password} dbname=postgres"
    assert values(await server(url=words))["up"] == 1
    assert values(await server(url=f"{shop}?schema=public&connection_limit=5&pgbouncer=true"))["up"] == 1
    assert values(await server(url=shop.replace("postgresql://", "postgresql+asyncpg://")))["up"] == 1


async def test_refused(server: Looker) -> None:
    port = free_port()
    seen = await server(url=f"postgresql://app:s3cret@127.0.0.1:{port}/shop")
    assert values(seen) == {"up": 0}
    assert seen.note == f"connection refused (app@127.0.0.1:{port}/shop)"


async def test_unknown_host(server: Looker) -> None:
    seen = await server(url="postgresql://app:s3cret@db.invalid/shop")
    assert values(seen) == {"up": 0}
    assert "db.invalid" in seen.note
    assert "s3cret" not in seen.note


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password": "wrong-one"}, 'password authentication failed for user "healthd"'),
        ({"user": "nobody_known"}, 'password authentication failed for user "nobody_known"'),
        ({"dbname": "no_such_db"}, 'database "no_such_db" does not exist'),
    ],
)
async def test_our_own_account_is_wrong(
    postgres: PostgresServer, server: Looker, change: dict[str, str], says: str
) -> None:
    with pytest.raises(ProbeError) as caught:
        await server(url=postgres.url(**change))
    assert caught.value.kind == "auth"
    assert says in caught.value.reason
    assert "127.0.0.1" in caught.value.reason
    assert postgres.password not in caught.value.reason
    assert "wrong-one" not in caught.value.reason


async def test_tls_required_of_a_server_without(postgres: PostgresServer, server: Looker) -> None:
    with pytest.raises(ProbeError, match="SSL") as caught:
        await server(url=postgres.url() + "?sslmode=require")
    assert caught.value.kind == "auth"


@pytest.mark.probe_failure("postgres")
async def test_no_entry_in_pg_hba(own: PostgresServer, server: Looker) -> None:
    rules = own.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all stranger 127.0.0.1/32 reject\n{before}")
    try:
        with psycopg.connect(own.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        with pytest.raises(ProbeError, match="stranger") as caught:
            await eventually_refused(server, own.url(user="stranger"))
        assert caught.value.kind == "auth"
    finally:
        rules.write_text(before)
        with psycopg.connect(own.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")


async def eventually_refused(server: Looker, url: str) -> None:
    """The new rules are in force once the postmaster has read them."""
    for _ in range(100):
        try:
            await server(url=url)
        except ProbeError as error:
            if "pg_hba" in error.reason:
                raise
        await asyncio.sleep(0.02)


async def test_the_last_connection_is_taken(own: PostgresServer, server: Looker, query: Looker) -> None:
    with psycopg.connect(own.url(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS ordinary")
        connection.execute("CREATE ROLE ordinary LOGIN PASSWORD 'word'")
    url = own.url(user="ordinary", password="word")
    taken: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        with suppress(psycopg.OperationalError):
            while len(taken) < 30:
                taken.append(psycopg.connect(url))
        assert len(taken) < 10
        seen = await server(url=url)
        assert values(seen) == {"up": 0}
        assert "slots are reserved" in seen.note
        with pytest.raises(ProbeError) as caught:
            await query(url=url, query="SELECT 1 AS one")
        assert caught.value.kind == "exhausted"
    finally:
        for connection in taken:
            connection.close()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x00" * 65536])
async def test_something_else_answers(answer: bytes, server: Looker) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        seen = await server(url=f"postgresql://app:s3cret@127.0.0.1:{port}/shop")
    assert values(seen) == {"up": 0}
    assert seen.note
    assert "s3cret" not in seen.note


async def test_a_listener_that_never_answers(server: Looker) -> None:
    closed = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the probe hangs up
        writer.close()
        closed.set()

    async with await asyncio.start_server(silence, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        server.timeout = timedelta(seconds=1)
        started = time.monotonic()
        seen = await server(url=f"postgresql://app:s3cret@127.0.0.1:{port}/shop")
        assert time.monotonic() - started < 10
        assert values(seen) == {"up": 0}
        assert "no answer within 1s" in seen.note
        await asyncio.wait_for(closed.wait(), 5)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("postgresql://app:pa%ss@db/shop", "percent-encoded"),
        ("postgresql://app:secretword@db:port/shop", "not a PostgreSQL connection string"),
        ("postgresql://app:secretword@db/shop?sslmod=require", "unknown option 'sslmod'"),
        ("secretword", "not a PostgreSQL connection string"),
    ],
)
async def test_a_wrong_url_is_refused_without_showing_it(url: str, says: str, server: Looker) -> None:
    with pytest.raises(ValidationError) as caught:
        await server(url=url)
    assert says in str(caught.value)
    assert "secretword" not in str(caught.value)


async def test_tls(server: Looker) -> None:
    """Debian's server has OpenSSL; its default certificate is signed by nobody a client knows."""
    binaries = system_binaries()
    assert binaries is not None, "install Debian's postgresql package"
    tls = PostgresServer(binaries=binaries, settings={"ssl": "off"})
    try:
        tls.give_certificate(trustme.CA().issue_cert("127.0.0.1"))
        tls.start()
        assert values(await server(url=tls.url() + "?sslmode=require"))["up"] == 1
        seen = await server(url=tls.url() + "?sslmode=verify-full&sslrootcert=system")
        assert values(seen) == {"up": 0}
        assert "TLS: the certificate is not acceptable" in seen.note
        with pytest.raises(ProbeError, match="/no/such/ca") as caught:
            await server(url=tls.url() + "?sslmode=verify-full&sslrootcert=/no/such/ca.pem")
        assert caught.value.kind == "config"
    finally:
        tls.remove()
