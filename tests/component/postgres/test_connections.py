"""The probe postgres_connections: sessions against their limit."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress

import psycopg
import pytest

from healthd.model.outcomes import ProbeError
from tests.component.looking import Looker, evidence, values
from tests.servers.postgres import PostgresServer


async def test_connections_against_their_limit(own: PostgresServer, connections: Looker) -> None:
    with psycopg.connect(own.url(), application_name="worker") as one, psycopg.connect(own.url()) as two:
        one.execute("SELECT 1")  # leaves its transaction open
        two.autocommit = True
        two.execute("SELECT 1")
        seen = await connections(url=own.url())
    measured = values(seen)
    assert (measured["used"], measured["max"], measured["reserved"]) == (3, 12, 3)
    assert measured["ratio"] == pytest.approx(3 / 9)
    assert (measured["active"], measured["idle"], measured["idle_in_transaction"]) == (1, 1, 1)
    assert measured["waiting"] == 0
    assert 0 < float(measured["oldest_transaction"]) < 60
    assert "healthd  worker" in evidence(seen, "most sessions by user and application")


async def test_sessions_waiting_for_a_lock(own: PostgresServer, connections: Looker) -> None:
    with psycopg.connect(own.url()) as holder:
        holder.execute("CREATE TABLE IF NOT EXISTS guarded (id int)")
        holder.commit()
        holder.execute("LOCK TABLE guarded")
        async with await psycopg.AsyncConnection.connect(own.url()) as waiter:
            waiting = asyncio.create_task(waiter.execute("SELECT * FROM guarded"))
            for _ in range(200):
                if (measured := values(await connections(url=own.url())))["waiting"]:
                    break
            assert measured["waiting"] == 1
            holder.rollback()
            await waiting


@pytest.mark.probe_failure("postgres_connections")
async def test_connections_of_one_database(postgres: PostgresServer, shop: str, connections: Looker) -> None:
    name = shop.rsplit("/", 1)[1]
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 8')
        try:
            with psycopg.connect(shop), psycopg.connect(shop):
                measured = values(await connections(url=postgres.url(), database=name))
        finally:
            admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
    assert (measured["used"], measured["max"], measured["ratio"]) == (2, 8, 0.25)
    with pytest.raises(ProbeError, match="no database 'shopp'"):
        await connections(url=postgres.url(), database="shopp")


async def test_no_connection_left_is_all_of_them(own: PostgresServer, connections: Looker, server: Looker) -> None:
    """Whose alert it is must not be UNKNOWN just when it is worst."""
    with psycopg.connect(own.url(), autocommit=True) as admin, ExitStack() as crowd:
        admin.execute("DROP ROLE IF EXISTS crowd")
        admin.execute("CREATE ROLE crowd LOGIN PASSWORD 'word'")
        url = own.url(user="crowd", password="word")
        with suppress(psycopg.OperationalError):
            for _ in range(13):
                crowd.enter_context(psycopg.connect(url))
        seen = await connections(url=url)
        assert values(seen) == {"ratio": 1.0}
        assert "slots are reserved" in seen.note
        assert values(await server(url=url)) == {"up": 0}


async def test_no_more_sessions_of_ones_own_role_say_nothing_of_the_server(
    own: PostgresServer, connections: Looker, server: Looker
) -> None:
    with psycopg.connect(own.url(), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS limited")
        admin.execute("CREATE ROLE limited LOGIN PASSWORD 'word' CONNECTION LIMIT 0")
        for look in (connections, server):
            with pytest.raises(ProbeError, match='too many connections for role "limited"') as caught:
                await look(url=own.url(user="limited", password="word"))
            assert caught.value.kind == "auth"


@pytest.mark.probe("postgres_connections")
async def test_an_ordinary_role_counts_all_and_says_what_it_cannot_see(
    own: PostgresServer, connections: Looker
) -> None:
    with psycopg.connect(own.url(), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain")
        admin.execute("CREATE ROLE plain LOGIN PASSWORD 'word'")
        url = own.url(user="plain", password="word")
        for _ in range(200):  # sessions of earlier tests take a moment to end
            if values(seen := await connections(url=url))["used"] == 2:
                break
        assert values(seen)["used"] == 2
        assert "idle" not in values(seen)
        assert "GRANT pg_monitor" in seen.note
        admin.execute("GRANT pg_monitor TO plain")
        seen = await connections(url=url)
        assert (values(seen)["idle"], seen.note) == (1, "")
