"""The probes postgres_activity and postgres_locks, with sessions that wait, idle and block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes.postgres import PostgresActivityProbe, PostgresLocksProbe
from tests.component.looking import Looker, evidence, values
from tests.component.postgres.test_replication import MakeLooker, seen_as
from tests.servers.postgres import PostgresServer


@pytest.fixture
def activity(looker: MakeLooker) -> Looker:
    return looker(PostgresActivityProbe())


@pytest.fixture
def locks(looker: MakeLooker) -> Looker:
    return looker(PostgresLocksProbe())


@asynccontextmanager
async def doing(url: str, *statements: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session in a transaction; the last statement may still be running (or waiting)."""
    async with await psycopg.AsyncConnection.connect(url, application_name="worker") as connection:
        for statement in statements[:-1]:
            await connection.execute(statement.encode())
        running = asyncio.create_task(connection.execute(statements[-1].encode()))
        try:
            yield connection
        finally:
            connection.cancel()
            with_errors = await asyncio.gather(running, return_exceptions=True)
            assert all(isinstance(error, psycopg.Error | psycopg.AsyncCursor) for error in with_errors)
            await connection.rollback()


async def test_a_quiet_database(postgres: PostgresServer, activity: Looker) -> None:
    url = postgres.create_database()
    name = url.rsplit("/", 1)[1]
    seen = await activity(url=url, databases=name)
    measured = values(seen)
    quiet = ("active", "longest_query", "long_queries", "idle_in_transaction", "longest_transaction", "waiting")
    assert [measured[key] for key in quiet] == [0] * len(quiet)
    assert 0 < float(measured[f"xid_age{{{name}}}"]) < 100_000
    assert 0 < float(measured[f"wraparound_ratio{{{name}}}"]) < 0.001
    assert seen.evidence == ()


@pytest.mark.probe("postgres_activity")
async def test_a_query_that_runs_long(postgres: PostgresServer, activity: Looker) -> None:
    url = postgres.create_database()
    name = url.rsplit("/", 1)[1]
    async with doing(url, "SELECT pg_sleep(20), 'secret'"):
        seen = await activity(url=url, databases=name, query_limit="100ms")
        for _ in range(200):
            if values(seen)["long_queries"]:
                break
            await asyncio.sleep(0.01)
            seen = await activity(url=url, databases=name, query_limit="100ms")
        measured = values(seen)
        assert (measured["active"], measured["long_queries"]) == (1, 1)
        assert 0.1 < float(measured["longest_query"]) < 10
        assert 0.1 < float(measured["longest_transaction"]) < 10
        shown = evidence(seen, "longest transactions")
        assert f"healthd@{name} (worker): active for" in shown
        assert shown.endswith("SELECT pg_sleep(?), ?")
        left_out = values(await activity(url=url, databases=name, exclude_applications="work*"))
        assert left_out["active"] == 0
        assert values(await activity(url=url, databases=name, exclude_users=["x", "healthd"]))["active"] == 0
        assert values(await activity(url=url, databases="other_*"))["active"] == 0


async def test_idle_in_transaction(postgres: PostgresServer, activity: Looker) -> None:
    url = postgres.create_database()
    name = url.rsplit("/", 1)[1]
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as idle:
        holder.execute("SELECT pg_current_xact_id()")
        idle.execute("SELECT 1")
        await asyncio.sleep(0.02)
        limits = {"transaction_limit": "10ms", "idle_limit": "10ms"}
        measured = values(await activity(url=url, databases=name, **limits))
        assert (measured["idle_in_transaction"], measured["long_idle_in_transaction"]) == (1, 1)
        assert (measured["idle"], measured["long_idle"], measured["active"]) == (1, 1, 0)
        assert 0.01 < float(measured["longest_idle_in_transaction"]) < 10
        idle.execute("CREATE TABLE things (id int)")
        assert float(values(await activity(url=url))["xmin_age"]) >= 1


async def test_prepared_transactions(looker: MakeLooker, activity: Looker) -> None:
    server = PostgresServer(settings={"max_prepared_transactions": "2"})
    try:
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("BEGIN")
            admin.execute("CREATE TABLE things (id int)")
            admin.execute("PREPARE TRANSACTION 'forgotten'")
        measured = values(await activity(url=server.url()))
        assert measured["prepared"] == 1
        assert 0 < float(measured["longest_prepared"]) < 10
        locks = values(await looker(PostgresLocksProbe())(url=server.url()))
        assert float(locks["access_exclusive"]) >= 1  # nobody's session, and still held
    finally:
        server.remove()


async def test_who_waits_for_whom(postgres: PostgresServer, locks: Looker, activity: Looker) -> None:
    url = postgres.create_database()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE TABLE guarded (id int)")
    before = values(await locks(url=url))
    assert (before["waiting"], before["blockers"], before["longest_wait"]) == (0, 0, 0)
    async with (
        doing(url, "LOCK TABLE guarded"),
        doing(url, "LOCK TABLE guarded IN SHARE MODE"),
        doing(url, "SELECT * FROM guarded WHERE id = 4711"),
    ):
        seen = await seen_as(locks, url, waiting=2, blockers=1)
        measured = values(await locks(url=url, wait_limit="0s"))
        assert measured["long_waits"] == 2
        assert 0 < float(measured["longest_wait"]) < 10
        assert float(measured["access_exclusive"]) >= 1
        assert 0 < float(measured["table_ratio"]) < 0.1
        lines = evidence(seen, "who waits for whom").splitlines()
        assert "blocks" in lines[0]
        assert "idle in transaction" in lines[0]
        shared, selected = sorted(lines[1:3], key=lambda line: "AccessShareLock" in line)  # whoever came first is first
        assert "for ShareLock on guarded, blocked by" in shared
        async with asyncio.timeout(10):
            while not selected.endswith("SELECT * FROM guarded WHERE id = ?"):  # for a moment it is still its BEGIN
                again = evidence(await seen_as(locks, url, waiting=2, blockers=1), "who waits for whom").splitlines()
                selected = next(line for line in again if "AccessShareLock" in line)
        assert values(await activity(url=url))["waiting"] == 2


@pytest.mark.probe("postgres_locks")
async def test_deadlocks_and_advisory_locks(postgres: PostgresServer, locks: Looker) -> None:
    url = postgres.create_database()
    before = values(await locks(url=url))
    soon = "SET LOCAL deadlock_timeout = '20ms'"
    async with (
        doing(url, soon, "SELECT pg_advisory_xact_lock(1)") as one,
        doing(url, soon, "SELECT pg_advisory_xact_lock(2)") as two,
    ):
        await seen_as(locks, url, advisory=2)
        outcomes = await asyncio.gather(
            one.execute("SELECT pg_advisory_xact_lock(2)"),
            two.execute("SELECT pg_advisory_xact_lock(1)"),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, psycopg.errors.DeadlockDetected) for outcome in outcomes) == 1
    await seen_as(locks, url, deadlocks=float(before["deadlocks"]) + 1)


@pytest.mark.probe_failure("postgres_activity", "postgres_locks")
async def test_a_role_that_may_not_see_them(
    postgres: PostgresServer, plain: str, activity: Looker, locks: Looker
) -> None:
    with psycopg.connect(postgres.url()) as other:
        other.execute("SELECT 1")
        for look in (activity, locks):
            with pytest.raises(ProbeError, match="hidden from the role plain: GRANT pg_monitor TO plain") as caught:
                await look(url=plain)
            assert caught.value.kind == "forbidden"
