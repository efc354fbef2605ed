"""Every deeper probe on another major version, as the role that the pages recommend: not a superuser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from healthd.probes import PROBES
from tests.component.looking import Looker, looking, values
from tests.component.postgres.test_replication import MakeLooker
from tests.servers.postgres import PostgresServer, system_binaries

WATCHES = {
    "postgres_activity": ("active", "waiting", "longest_transaction"),
    "postgres_archiver": ("archive_mode", "waiting"),
    "postgres_connections": ("used", "idle"),
    "postgres_locks": ("waiting", "held", "table_ratio"),
    "postgres_replication": ("role", "replicas", "slots"),
    "postgres_roles": ("superusers", "public_create"),
    "postgres_settings": ("pending_restart",),
    "postgres_size": ("database_bytes", "wal_bytes"),
    "postgres_statements": ("calls", "p99_time", "reset_age", "hit_ratio"),
    "postgres_tables": ("tables", "dead_rows", "dead_ratio"),
}


@pytest.fixture(scope="module")
def watched() -> Iterator[str]:
    """The URL of a member of pg_monitor on the distribution's server; somebody else is connected."""
    binaries = system_binaries()
    if binaries is None:
        pytest.fail("no PostgreSQL of the distribution: install Debian's postgresql package")
    server = PostgresServer(binaries=binaries)
    try:
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")
            admin.execute("CREATE TABLE orders (id int PRIMARY KEY)")
            admin.execute("INSERT INTO orders SELECT generate_series(1, 5000)")
            admin.execute("DELETE FROM orders WHERE id <= 1000")
            admin.execute("CREATE ROLE watcher LOGIN PASSWORD 'word'")
            admin.execute("GRANT pg_monitor TO watcher")
            admin.execute("SELECT pg_stat_force_next_flush()")
            yield server.url(user="watcher", password="word")
    finally:
        server.remove()


@pytest.fixture
async def settings() -> AsyncIterator[Looker]:
    async with looking(PROBES["postgres_settings"]) as looker:
        yield looker


@pytest.mark.parametrize("kind", WATCHES)
async def test_what_a_monitoring_role_sees(watched: str, looker: MakeLooker, kind: str) -> None:
    seen = await looker(PROBES[kind])(url=watched)
    assert set(WATCHES[kind]) <= values(seen).keys()
    assert "GRANT" not in seen.note


async def test_the_same_question_is_asked_once_for_all_checks_of_a_run(watched: str, settings: Looker) -> None:
    async def asked() -> float | str:
        counted = "SELECT sum(calls) AS calls FROM pg_stat_statements WHERE query LIKE 'SELECT lower(name)%'"
        query = Looker(PROBES["postgres_query"], settings.resources)
        return values(await query(url=watched, query=counted))["calls"]

    await settings(url=watched)
    before = await asked()
    settings.shared.clear()  # the next run begins
    names = ("wal_level", "fsync", "max_connections") * 7
    assert len(await asyncio.gather(*(settings(url=watched, settings=name) for name in names))) == 21
    assert float(await asked()) == float(before) + 1
