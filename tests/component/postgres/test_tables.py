"""The probes postgres_tables and postgres_size, on tables that are neglected in known ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes.postgres import PostgresSizeProbe, PostgresTablesProbe
from tests.component.looking import Looker, evidence, values
from tests.component.postgres.test_replication import MakeLooker
from tests.servers.postgres import PostgresServer


@pytest.fixture
def tables(looker: MakeLooker) -> Looker:
    return looker(PostgresTablesProbe())


@pytest.fixture
def size(looker: MakeLooker) -> Looker:
    return looker(PostgresSizeProbe())


@pytest.fixture(scope="package")
def neglected(postgres: PostgresServer) -> str:
    """`orders` is kept well; `events` is not: a quarter of its rows dead, never vacuumed, read without its index."""
    url = postgres.create_database()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE TABLE orders (id int PRIMARY KEY, note text)")
        admin.execute("INSERT INTO orders SELECT n, repeat('x', 100) FROM generate_series(1, 4000) AS n")
        admin.execute("SELECT pg_stat_force_next_flush()")
        admin.execute("VACUUM ANALYZE orders")
        admin.execute("CREATE SCHEMA audit CREATE TABLE events (id int, kind text) WITH (autovacuum_enabled = false)")
        admin.execute("CREATE INDEX events_kind ON audit.events (kind)")
        admin.execute("INSERT INTO audit.events SELECT n, 'k' FROM generate_series(1, 4000) AS n")
        admin.execute("DELETE FROM audit.events WHERE id <= 1000")
        admin.execute("SET enable_seqscan = off")
        for n in range(3):
            admin.execute("SELECT * FROM orders WHERE id = %s", (n,))
        admin.execute("SET enable_seqscan = on")
        admin.execute("SELECT count(*) FROM audit.events")
        admin.execute("CREATE TABLE small (id int)")
        admin.execute("INSERT INTO small VALUES (1)")
        admin.execute("CREATE TEMP TABLE passing (id int)")
        admin.execute("SELECT pg_stat_force_next_flush()")
    return url


async def test_all_tables_together(neglected: str, tables: Looker) -> None:
    seen = await tables(url=neglected)
    measured = values(seen)
    assert (measured["tables"], measured["live_rows"], measured["dead_rows"]) == (2, 7000, 1000)
    assert measured["dead_ratio"] == 0.25
    assert (measured["never_vacuumed"], measured["never_analyzed"], measured["autovacuum_off"]) == (1, 1, 1)
    assert 0 < float(measured["vacuum_age"]) < 120
    assert measured["changed_ratio"] == pytest.approx(5000 / 3000)
    assert measured["index_use_ratio"] == 0
    assert (measured["unused_indexes"], measured["invalid_indexes"]) == (1, 0)
    assert evidence(seen, "most dead rows") == "audit.events: 25.0% dead, 1000 of 4000"
    assert evidence(seen, "longest without vacuum").startswith("audit.events: since vacuum never")
    assert evidence(seen, "least use of indexes").startswith("audit.events: 0.0%")
    assert evidence(seen, "indexes without use").startswith("audit.events_kind: ")
    assert "bloat_ratio" not in measured


@pytest.mark.probe("postgres_tables")
async def test_a_series_for_each_table(neglected: str, tables: Looker) -> None:
    measured = values(await tables(url=neglected, per_table=True, exclude="audit.*"))
    assert (measured["tables"], measured["dead_ratio{public.orders}"]) == (1, 0)
    assert float(measured["index_use_ratio{public.orders}"]) > 0.5
    assert "dead_ratio" not in measured
    measured = values(await tables(url=neglected, per_table=True, tables=["event?", "*.small"], min_rows=0))
    assert (measured["tables"], measured["never_vacuumed{audit.events}"]) == (2, 1)
    assert "vacuum_age{audit.events}" not in measured
    assert measured["live_rows{public.small}"] == 1


async def test_no_table_fits(neglected: str, tables: Looker) -> None:
    seen = await tables(url=neglected, tables="none_such")
    measured = values(seen)
    assert (measured["tables"], measured["dead_rows"], measured["unused_indexes"]) == (0, 0, 0)
    assert "dead_ratio" not in measured
    assert seen.evidence == ()


async def test_wasted_space(neglected: str, tables: Looker) -> None:
    with psycopg.connect(neglected, autocommit=True) as admin:
        admin.execute("CREATE TABLE wasted (id int, note text)")
        admin.execute("INSERT INTO wasted SELECT n, repeat('x', 100) FROM generate_series(1, 20000) AS n")
        admin.execute("DELETE FROM wasted WHERE id % 4 <> 0")
        admin.execute("VACUUM ANALYZE wasted")
        try:
            measured = values(await tables(url=neglected, tables=["wasted", "orders"], bloat=True, per_table=True))
            together = values(await tables(url=neglected, tables=["wasted", "orders"], bloat=True))
        finally:
            admin.execute("DROP TABLE wasted")
    assert measured["bloat_ratio{public.wasted}"] == pytest.approx(0.75, abs=0.05)
    assert measured["bloat_ratio{public.orders}"] == pytest.approx(0, abs=0.05)
    assert together["bloat_ratio"] == measured["bloat_ratio{public.wasted}"]
    assert 1_500_000 < float(together["bloat_bytes"]) < 2_500_000


async def test_an_index_that_could_not_be_built(neglected: str, tables: Looker) -> None:
    with psycopg.connect(neglected, autocommit=True) as admin:
        with pytest.raises(psycopg.errors.UniqueViolation):
            admin.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON audit.events (kind)")
        try:
            seen = await tables(url=neglected)
        finally:
            admin.execute("DROP INDEX audit.broken")
    assert values(seen)["invalid_indexes"] == 1
    assert "audit.broken" in evidence(seen, "indexes without use")


async def test_locked_tables_are_looked_at_too(neglected: str, tables: Looker, size: Looker) -> None:
    with psycopg.connect(neglected) as holder:
        holder.execute("LOCK TABLE orders")
        assert values(await tables(url=neglected))["tables"] == 2
        assert float(values(await size(url=neglected))["largest_table_bytes"]) > 400_000
        size.timeout = timedelta(seconds=0.6)
        with pytest.raises(ProbeError, match="waited too long for a lock") as caught:
            await size(url=neglected, tables="orders")
        assert caught.value.kind == "timeout"


async def test_on_a_standby(replica: PostgresServer, tables: Looker) -> None:
    assert "ask the primary" in (await tables(url=replica.url())).note


async def test_sizes(neglected: str, size: Looker) -> None:
    name = neglected.rsplit("/", 1)[1]
    seen = await size(url=neglected)
    measured = values(seen)
    assert 5e6 < float(measured["database_bytes"]) == measured["total_bytes"]
    assert float(measured["wal_bytes"]) >= 16 * 2**20
    assert "public.orders" in evidence(seen, "largest tables, as of their last vacuum or analyze")
    several = values(await size(url=neglected, databases=[name, "postgres"]))
    assert several["total_bytes"] == float(several[f"database_bytes{{{name}}}"]) + float(
        several["database_bytes{postgres}"]
    )
    one = values(await size(url=neglected, tables=["orders", "audit.*"]))
    assert float(one["table_bytes{public.orders}"]) > float(one["index_bytes{public.orders}"]) > 0
    everything = values(await size(url=neglected, tables="*", exclude="small"))
    assert {name for name in everything if name.startswith("table")} == {
        "table_bytes{audit.events}",
        "table_bytes{public.orders}",
    }
    assert (one["row_estimate{public.orders}"], "row_estimate{audit.events}" in one) == (4000, False)


async def test_a_table_that_grows(postgres: PostgresServer, size: Looker) -> None:
    url, now = postgres.create_database(), datetime.now(UTC)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (text text)")
        for hour in range(8):
            connection.execute("INSERT INTO orders SELECT repeat('x', 1000) FROM generate_series(1, 800)")
            size.now = now + timedelta(hours=hour)
            seen = values(await size(url=url, tables="orders"))
            assert ("table_growth_per_day{public.orders}" in seen) == (hour >= 6)
    assert seen["table_growth_per_day{public.orders}"] == pytest.approx(24 * 800 * 1024, rel=0.2)
    assert seen["database_growth_per_day"] == pytest.approx(24 * 800 * 1024, rel=0.2)


@pytest.mark.probe("postgres_size")
async def test_a_partitioned_table_counts_its_parts(neglected: str, size: Looker) -> None:
    with psycopg.connect(neglected, autocommit=True) as admin:
        admin.execute("CREATE TABLE parted (id int) PARTITION BY RANGE (id)")
        admin.execute("CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100)")
        admin.execute("INSERT INTO parted SELECT generate_series(0, 99)")
        try:
            measured = values(await size(url=neglected, tables="parted*"))
        finally:
            admin.execute("DROP TABLE parted")
    assert measured["table_bytes{public.parted}"] == measured["table_bytes{public.parted_low}"] == 8192


@pytest.mark.probe_failure("postgres_size")
async def test_sizes_that_are_not_there(neglected: str, size: Looker) -> None:
    with pytest.raises(ProbeError, match="no database is called shop-\\*"):
        await size(url=neglected, databases="shop-*")
    with pytest.raises(ProbeError, match="no table here is called nothing or none"):
        await size(url=neglected, tables=["nothing", "none"])


async def test_sizes_an_ordinary_role_may_see(
    postgres: PostgresServer, neglected: str, plain: str, size: Looker
) -> None:
    name = neglected.rsplit("/", 1)[1]
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
        try:
            seen = await size(url=plain, databases=[name, "postgres"])
        finally:
            admin.execute(f'GRANT CONNECT ON DATABASE "{name}" TO PUBLIC')
    assert f"the size of {name} is hidden: GRANT pg_monitor TO plain" in seen.note
    assert "total_bytes" not in values(seen)
    assert "wal_bytes" not in values(seen)
    assert float(values(seen)["database_bytes{postgres}"]) > 1e6
