"""The probes postgres_replication and postgres_archiver, on a real pair of servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from healthd.model.outcomes import Observation, ProbeError
from healthd.probes.base import Probe
from healthd.probes.postgres import PostgresArchiverProbe, PostgresReplicationProbe
from tests.component.looking import Looker, evidence, values
from tests.component.postgres.watching import paused
from tests.servers.postgres import PostgresServer

MakeLooker = Callable[[Probe], Looker]


@pytest.fixture
def replication(looker: MakeLooker) -> Looker:
    return looker(PostgresReplicationProbe())


@contextmanager
def replay_paused(replica: PostgresServer) -> Iterator[None]:
    with psycopg.connect(replica.url(), autocommit=True) as admin:
        admin.execute("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            admin.execute("SELECT pg_wal_replay_resume()")


def write(primary: PostgresServer, rows: int = 10) -> None:
    with psycopg.connect(primary.url(), autocommit=True) as admin:
        admin.execute("CREATE TABLE IF NOT EXISTS written (id int)")
        admin.execute("INSERT INTO written SELECT generate_series(1, %s::int)", (rows,))


async def seen_as(look: Looker, url: str, **wanted: float | str) -> Observation:
    """The first look that shows these values."""
    for _ in range(500):
        seen = await look(url=url)
        if wanted.items() <= values(seen).items():
            return seen
        await asyncio.sleep(0.01)
    raise AssertionError(f"never {wanted}: {values(seen)}")


async def test_a_replica_that_keeps_up(primary: PostgresServer, replica: PostgresServer, replication: Looker) -> None:
    write(primary)
    seen = await seen_as(replication, primary.url(), **{"lag_bytes{reports}": 0})
    measured = values(seen)
    assert (measured["role"], measured["replicas"], measured["streaming"]) == ("primary", 1, 1)
    assert (measured["state{reports}"], measured["lag_seconds{reports}"]) == ("streaming", 0)
    assert (measured["slots"], measured["slots_inactive"], measured["slots_lost"]) == (1, 0, 0)
    assert float(measured["slot_retained_bytes{reports}"]) >= 0
    assert "reports: streaming, async" in evidence(seen, "replicas")
    assert not any("receiver" in name for name in measured)


async def test_the_same_from_the_replica(primary: PostgresServer, replica: PostgresServer, replication: Looker) -> None:
    write(primary)
    seen = await seen_as(replication, replica.url(), lag_seconds=0, lag_bytes=0, receiver_streaming=1)
    measured = values(seen)
    assert (measured["role"], measured["replay_paused"], seen.note) == ("standby", 0, "")
    assert 0 <= float(measured["receiver_age"]) < 30
    assert "replicas" not in measured  # it has none of its own, and need not


async def test_a_replica_that_falls_behind(
    primary: PostgresServer, replica: PostgresServer, replication: Looker
) -> None:
    write(primary)
    await seen_as(replication, primary.url(), **{"lag_bytes{reports}": 0})
    with replay_paused(replica):
        write(primary, 1000)
        for _ in range(300):
            here = values(await replication(url=primary.url()))
            there = await replication(url=replica.url())
            if float(here["lag_seconds{reports}"]) > 0.5 and float(values(there)["lag_seconds"]) > 0.5:
                break
            write(primary)
            await asyncio.sleep(0.02)
        assert float(here["lag_bytes{reports}"]) > 10_000
        assert 0.5 < float(here["lag_seconds{reports}"]) < 60
        assert 0.5 < float(values(there)["lag_seconds"]) < 60
        assert float(values(there)["lag_bytes"]) > 10_000
        assert (values(there)["replay_paused"], there.note) == (1, "replay is paused")
    await seen_as(replication, primary.url(), **{"lag_bytes{reports}": 0, "lag_seconds{reports}": 0})


async def test_a_replica_without_its_primary(
    primary: PostgresServer, replica: PostgresServer, replication: Looker
) -> None:
    write(primary)
    await seen_as(replication, replica.url(), lag_bytes=0, receiver_streaming=1)
    primary.stop(crash=True)
    try:
        seen = await seen_as(replication, replica.url(), receiver_streaming=0)
        assert float(values(seen)["lag_seconds"]) > 0  # what it has is all it has, but it may be missing more
        assert "does not stream: it has no receiver" in seen.note
    finally:
        primary.start()
    replica.stop(crash=True)
    try:
        seen = await seen_as(replication, primary.url(), replicas=0, slots_inactive=1)
        assert "reports (physical): keeps" in evidence(seen, "inactive replication slots")
        assert float(values(seen)["slot_inactive_seconds{reports}"]) >= 0
    finally:
        replica.start()


@pytest.mark.probe("postgres_replication")
async def test_a_choice_of_replicas_and_slots(
    primary: PostgresServer, replica: PostgresServer, replication: Looker
) -> None:
    await seen_as(replication, primary.url(), replicas=1)
    measured = values(await replication(url=primary.url(), replicas="backup-*", slots=["%", "rep?rt_"]))
    assert (measured["replicas"], measured["slots"]) == (0, 0)
    measured = values(await replication(url=primary.url(), replicas=["rep*"], slots="r?ports"))
    assert (measured["replicas"], measured["slots"]) == (1, 1)


async def test_a_role_that_may_not_see_it(
    primary: PostgresServer, replica: PostgresServer, replication: Looker
) -> None:
    await seen_as(replication, primary.url(), replicas=1)
    with psycopg.connect(primary.url(), autocommit=True) as admin:
        admin.execute("CREATE ROLE plain LOGIN PASSWORD 'word'")
    write(primary)
    await seen_as(replication, primary.url(), **{"lag_bytes{reports}": 0})
    for server in (primary, replica):
        with pytest.raises(ProbeError, match="GRANT pg_monitor TO plain") as caught:
            await replication(url=server.url(user="plain", password="word"))
        assert caught.value.kind == "forbidden"
    with psycopg.connect(primary.url(), autocommit=True) as admin:
        admin.execute("GRANT pg_monitor TO plain")
    assert values(await replication(url=primary.url(user="plain", password="word")))["replicas"] == 1


async def test_a_server_without_replicas(postgres: PostgresServer, replication: Looker, plain: str) -> None:
    measured = values(await replication(url=plain))
    assert (measured["role"], measured["replicas"], measured["slots"]) == ("primary", 0, 0)


@pytest.mark.probe_failure("postgres_replication")
async def test_a_primary_that_hangs(own: PostgresServer, replication: Looker) -> None:
    replication.timeout = timedelta(seconds=0.4)
    with paused(own), pytest.raises(ProbeError) as caught:
        await replication(url=own.url())
    assert caught.value.kind == "timeout"


@pytest.mark.probe("postgres_archiver")
async def test_the_archive(primary: PostgresServer, looker: MakeLooker, plain: str) -> None:
    archiver = looker(PostgresArchiverProbe())

    def switch(command: str) -> None:
        with psycopg.connect(primary.url(), autocommit=True) as admin:
            admin.execute(f"ALTER SYSTEM SET archive_command = '{command}'")
            admin.execute("SELECT pg_reload_conf()")
        write(primary)
        with psycopg.connect(primary.url(), autocommit=True) as admin:
            admin.execute("SELECT pg_switch_wal()")

    switch("true")
    seen = await seen_as(archiver, primary.url(), archive_mode="on", waiting=0, failing=0)
    for _ in range(300):
        if float(values(seen)["archived"]) > 0:
            break
        await asyncio.sleep(0.01)
        seen = await archiver(url=primary.url())
    assert 0 <= float(values(seen)["last_archived_age"]) < 60
    switch("false")
    try:
        seen = await seen_as(archiver, primary.url(), failing=1, waiting=1)
        assert float(values(seen)["failed"]) >= 1
        assert "segment 0000" in evidence(seen, "last failure")
    finally:
        switch("true")
    off = await archiver(url=plain)
    assert (values(off)["archive_mode"], "nothing is archived" in off.note) == ("off", True)
    assert "waiting" not in values(off)
