"""A PostgreSQL server that refuses, goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import psycopg
import pytest

from healthd.store import SqlStore
from healthd.store.base import AuditEntry, Commit, StoreError
from tests.component.store.examples import MINUTE, T0, entry, incident, message, outcome
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One of our own, to stop and start."""
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
async def store(server: PostgresServer) -> AsyncIterator[SqlStore]:
    store = SqlStore(server.create_database())
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def refused(url: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await SqlStore(url).open()
    return caught.value


async def test_a_wrong_password(server: PostgresServer) -> None:
    error = await refused(server.url(password="hunter22"))
    assert "check user and password" in error.reason
    assert f"127.0.0.1:{server.port}" in error.reason
    assert "hunter22" not in error.reason
    assert not error.transient


async def test_a_password_with_special_characters_is_never_shown(server: PostgresServer) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE odd LOGIN PASSWORD 'p@ss/w#rd'")
    error = await refused(server.url("no_such_database", user="odd", password="p%40ss%2Fw%23rd"))
    assert "CREATE DATABASE" in error.reason
    assert "p@ss" not in error.reason
    assert "p%40ss" not in error.reason


async def test_a_user_that_may_not_create_tables(server: PostgresServer) -> None:
    url = server.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE small LOGIN PASSWORD 'small'")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    error = await refused(server.url(url.rpartition("/")[2], user="small", password="small"))
    assert "GRANT" in error.reason
    assert not error.transient


@pytest.mark.parametrize(
    ("address", "words"),
    [("127.0.0.1:{free}", "check host and port"), ("no-such-host.invalid", "does not resolve")],
)
async def test_no_server_there(address: str, words: str) -> None:
    error = await refused(f"postgresql://kim:hunter22@{address.format(free=free_port())}/x")
    assert words in error.reason
    assert "hunter22" not in error.reason
    assert error.transient


async def test_a_server_that_never_answers(unused_tcp_port: int) -> None:
    silent = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", unused_tcp_port)
    async with silent:
        error = await refused(f"postgresql://kim:hunter22@127.0.0.1:{unused_tcp_port}/x?connect_timeout=2")
    assert "nothing answers" in error.reason
    assert error.transient


async def test_reasons_pass_the_redactor(server: PostgresServer) -> None:
    store = SqlStore(server.url("nowhere"), redact=lambda text: text.replace("nowhere", "<redacted>"))
    with pytest.raises(StoreError) as caught:
        await store.open()
    assert "nowhere" not in caught.value.reason
    assert "<redacted>" in caught.value.reason


def kill_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'healthd'"
        )


async def test_killed_idle_connections_cost_nobody_an_error(server: PostgresServer) -> None:
    url = server.create_database()
    store = SqlStore(url)
    await store.open()
    for number in range(3):
        await store.commit(Commit((outcome(at=T0 + number * MINUTE),)))
        assert len(await store.outcomes("shop/web")) == number + 1
        kill_sessions(url)
    await store.audit(AuditEntry(T0, "kim", "ack", "x"))
    assert len(await store.audits()) == 1
    await store.close()


async def test_commits_interrupted_by_restarts_can_be_repeated_without_duplicates(
    server: PostgresServer, store: SqlStore
) -> None:
    """Crash the server again and again under load; repeat whatever was not acknowledged."""
    stop = asyncio.Event()
    failures: list[StoreError] = []

    async def caller(name: int) -> int:
        number = 0
        while not stop.is_set():
            at = T0 + number * MINUTE
            said = entry(f"{number}", at, incident_id=f"g{name}")
            told = message(number, group=f"g{name}", id=f"{name}-{number}")
            commit = Commit((outcome(f"shop/{name}", at),), (), (incident(name),), (said,), (told,))
            await _until_stored(store, commit, failures)
            number += 1
        return number

    callers = [asyncio.create_task(caller(name)) for name in range(8)]
    for _ in range(3):
        await asyncio.to_thread(server.stop, crash=True)
        await asyncio.to_thread(server.start)
    stop.set()
    counts = await asyncio.gather(*callers)
    assert failures
    assert all(error.transient for error in failures)
    for name, count in enumerate(counts):
        assert len(await store.outcomes(f"shop/{name}", limit=100_000)) == count
        assert [e.text for e in await store.timeline(f"g{name}")] == [str(n) for n in range(count)]
    assert (await store.outbox())[0].pending == sum(counts)


async def _until_stored(store: SqlStore, commit: Commit, failures: list[StoreError]) -> None:
    while True:
        try:
            return await store.commit(commit)
        except StoreError as error:
            failures.append(error)
            await asyncio.sleep(0.02)


async def test_a_server_that_is_away_is_named_in_commits_and_questions(server: PostgresServer, store: SqlStore) -> None:
    await asyncio.to_thread(server.stop)
    try:
        for call in (store.commit(Commit((outcome(),))), store.states()):
            with pytest.raises(StoreError, match=f"127.0.0.1:{server.port}") as caught:
                await call
            assert caught.value.transient
            assert server.password not in caught.value.reason
    finally:
        await asyncio.to_thread(server.start)
    await store.commit(Commit((outcome(),)))
    assert list(await store.latest()) == ["shop/web"]
    assert await store.prune(T0 + timedelta(days=1), outcomes=timedelta(days=7), history=timedelta(days=400)) == 0
