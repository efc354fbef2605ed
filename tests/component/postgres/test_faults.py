"""Servers that stop, restart, hang or forget between two looks, and queries that take too long."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import psycopg
import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.postgres import PostgresProbe
from tests.component.looking import Looker, looking, values
from tests.component.postgres.firewall import Firewall
from tests.component.postgres.watching import open_sockets, paused, sessions, until
from tests.servers.postgres import PostgresServer


async def test_a_server_that_stops_and_comes_back(own: PostgresServer, server: Looker, query: Looker) -> None:
    assert values(await query(url=own.url(), query="SELECT 1 AS one"))["one"] == 1
    own.stop()
    try:
        assert values(await server(url=own.url())) == {"up": 0}
        with pytest.raises(ProbeError) as caught:
            await query(url=own.url(), query="SELECT 1 AS one")
        assert caught.value.kind == "refused"
    finally:
        own.start()
    assert values(await query(url=own.url(), query="SELECT 1 AS one"))["one"] == 1
    assert values(await server(url=own.url()))["up"] == 1


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("postgres_tables", marks=pytest.mark.probe_failure("postgres_tables")),
        pytest.param("postgres_archiver", marks=pytest.mark.probe_failure("postgres_archiver")),
        pytest.param("postgres_roles", marks=pytest.mark.probe_failure("postgres_roles")),
    ],
)
async def test_what_cannot_be_asked_is_no_zero(postgres: PostgresServer, kind: str) -> None:
    async with looking(PROBES[kind]) as look:
        with pytest.raises(ProbeError) as caught:
            await look(url=f"postgresql://nobody:wrong@127.0.0.1:{postgres.port}/postgres")
        assert caught.value.kind == "auth"
        with pytest.raises(ProbeError) as caught:
            await look(url="postgresql://nobody:wrong@127.0.0.1:1/postgres")
        assert caught.value.kind == "refused"
        assert "wrong" not in caught.value.reason


async def test_a_restart_between_two_looks_is_not_noticed(own: PostgresServer, query: Looker) -> None:
    await query(url=own.url(), query="SELECT 1 AS one")
    own.stop()
    own.start()
    assert values(await query(url=own.url(), query="SELECT 1 AS one"))["one"] == 1


async def test_a_server_that_hangs(own: PostgresServer, server: Looker, query: Looker) -> None:
    await query(url=own.url(), query="SELECT 1 AS one")
    await server(url=own.url())
    server.timeout = query.timeout = timedelta(seconds=0.8)
    before = open_sockets()
    with paused(own):
        started = time.monotonic()
        seen = await server(url=own.url())
        assert values(seen) == {"up": 0}
        assert "no answer within 800ms" in seen.note
        with pytest.raises(ProbeError) as caught:
            await query(url=own.url(), query="SELECT 1 AS one")
        assert caught.value.kind == "timeout"
        assert time.monotonic() - started < 10
        await until(lambda: len(asyncio.all_tasks()) == 1)
        assert open_sockets() == before - 1  # the idle one that did not answer is gone, no other has come
    server.timeout = query.timeout = timedelta(seconds=5)
    assert values(await server(url=own.url()))["up"] == 1
    assert values(await query(url=own.url(), query="SELECT 1 AS one"))["one"] == 1


async def test_cancelled_in_the_middle_of_a_query(own: PostgresServer, query: Looker) -> None:
    before = open_sockets()
    query.timeout = timedelta(seconds=8)
    looking = asyncio.create_task(query(url=own.url(), query="SELECT 1 AS one FROM pg_sleep(30)"))
    await until(lambda: bool(sessions(own.url())))
    with paused(own):  # not even then does it wait for the server
        started = time.monotonic()
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        assert time.monotonic() - started < 5
    await until(lambda: open_sockets() <= before and len(asyncio.all_tasks()) == 1)
    await until(lambda: not sessions(own.url()))  # the server ends the query at its own time-out


async def test_a_query_that_takes_too_long_is_ended_at_the_server(own: PostgresServer, query: Looker) -> None:
    query.timeout = timedelta(seconds=0.5)
    with pytest.raises(ProbeError) as caught:
        await query(url=own.url(), query="SELECT 1 AS one FROM pg_sleep(30)")
    assert caught.value.kind == "timeout"
    await until(lambda: not sessions(own.url()))


@pytest.mark.probe_failure("postgres_query")
async def test_a_query_behind_a_lock(own: PostgresServer, query: Looker) -> None:
    with psycopg.connect(own.url()) as holder:
        holder.execute("CREATE TABLE IF NOT EXISTS guarded (id int)")
        holder.commit()
        holder.execute("LOCK TABLE guarded")
        query.timeout = timedelta(seconds=0.8)
        with pytest.raises(ProbeError, match="lock") as caught:
            await query(url=own.url(), query="SELECT count(*) FROM guarded")
    assert caught.value.kind == "timeout"


async def test_many_checks_share_two_connections(postgres: PostgresServer, query: Looker) -> None:
    url = postgres.create_database()
    looks = [query(url=url, query=f"SELECT {n} AS n, pg_backend_pid() AS pid FROM pg_sleep(0.01)") for n in range(20)]
    seen = [values(observation) for observation in await asyncio.gather(*looks)]
    assert [measured["n"] for measured in seen] == list(range(20))
    assert len({measured["pid"] for measured in seen}) <= 2
    again = values(await query(url=url, query="SELECT pg_backend_pid() AS pid"))
    assert again["pid"] in {measured["pid"] for measured in seen}


async def test_slow_queries_of_other_checks_do_not_make_the_server_look_down(
    own: PostgresServer, query: Looker
) -> None:
    server = Looker(PostgresProbe(), query.resources)
    slow = [asyncio.create_task(query(url=own.url(), query="SELECT 1 AS one FROM pg_sleep(1)")) for _ in range(2)]
    await until(lambda: len(sessions(own.url())) == 2)
    assert values(await server(url=own.url()))["up"] == 1
    query.timeout = timedelta(seconds=0.2)
    with pytest.raises(ProbeError, match="in use by others") as caught:
        await query(url=own.url(), query="SELECT 1 AS one")
    assert caught.value.kind == "busy"
    assert [values(seen)["one"] for seen in await asyncio.gather(*slow)] == [1, 1]


@pytest.mark.probe("postgres_query")
async def test_a_connection_the_firewall_forgot(postgres: PostgresServer, query: Looker) -> None:
    """An idle connection that swallows everything does not make a healthy server look down."""
    async with Firewall(postgres.port) as firewall:
        url = postgres.url().replace(f":{postgres.port}/", f":{firewall.port}/")
        query.timeout = timedelta(seconds=2)
        await query(url=url, query="SELECT 1 AS one")
        firewall.forget()
        assert values(await query(url=url, query="SELECT 2 AS two"))["two"] == 2


async def test_a_pooler_that_takes_no_options(postgres: PostgresServer, query: Looker) -> None:
    async with Firewall(postgres.port, refuse=b"options") as pooler:
        url = postgres.url().replace(f":{postgres.port}/", f":{pooler.port}/")
        seen = values(await query(url=url, query="SELECT current_setting('transaction_read_only') AS read_only"))
        assert seen["read_only"] == "on"
