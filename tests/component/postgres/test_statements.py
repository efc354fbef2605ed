"""The probe postgres_statements on a server that keeps statistics of its statements."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes.postgres import PostgresStatementsProbe
from tests.component.looking import Looker, evidence, values
from tests.component.postgres.test_replication import MakeLooker
from tests.component.postgres.watching import sessions, until
from tests.servers.postgres import PostgresServer, system_binaries


@pytest.fixture
def statements(looker: MakeLooker) -> Looker:
    return looker(PostgresStatementsProbe())


@pytest.fixture
def busy(postgres: PostgresServer) -> Iterator[str]:
    """A database where the role app has executed ten fast statements (the first made it app) and a slow one."""
    url = postgres.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA stats")
        connection.execute("CREATE EXTENSION pg_stat_statements SCHEMA stats")
        connection.execute("CREATE TABLE orders (id int, customer text)")
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'app'").fetchone():
            connection.execute("CREATE ROLE app")
        connection.execute("GRANT INSERT ON orders TO app")
        connection.execute("SET SESSION AUTHORIZATION app")
        for n in range(9):
            connection.execute(f"INSERT INTO orders VALUES ({n}, 'secret customer')")
        connection.execute("SELECT pg_sleep(0.12), 'secret' AS word")
        yield url


async def test_slow_and_fast(busy: str, statements: Looker) -> None:
    seen = await statements(url=busy, users="app", slow="100ms")
    measured = values(seen)
    assert (measured["statements"], measured["calls"], measured["slow_statements"]) == (3, 11, 1)
    assert 0.12 <= float(measured["max_time"]) < 3
    assert measured["max_time"] == measured["slowest_mean"]
    assert 0.01 <= float(measured["mean_time"]) < 0.3
    assert float(measured["p50_time"]) < 0.05 < 0.12 <= float(measured["p99_time"]) * 1.001
    assert measured["slow_calls"] == pytest.approx(1)
    assert measured["slow_calls_per_second"] == pytest.approx(1 / float(measured["reset_age"]), rel=0.2)
    assert float(measured["deallocated"]) >= 0
    shown = evidence(seen, "slowest statements on average")
    assert shown.splitlines()[0].endswith("1 calls: SELECT pg_sleep($1), $2 AS word")
    assert "secret" not in shown


@pytest.mark.probe("postgres_statements")
async def test_a_choice_of_statements(busy: str, statements: Looker) -> None:
    measured = values(await statements(url=busy, users="app", slow="100ms", exclude="*PG_SLEEP*"))
    assert measured["statements"] == 3  # names are as they are written
    measured = values(await statements(url=busy, users="app", slow="100ms", exclude="*pg_sleep*"))
    assert (measured["statements"], measured["slow_statements"]) == (2, 0)
    assert values(await statements(url=busy, users="app", slow="100ms", min_calls=2))["slow_statements"] == 0
    nobody = await statements(url=busy, users="nobody-*")
    assert (values(nobody)["calls"], nobody.evidence) == (0, ())
    assert "p99_time" not in values(nobody)
    name = busy.rsplit("/", 1)[1]
    assert float(values(await statements(url=busy, databases=[name, "post*"]))["statements"]) > 2


async def test_only_what_happens_between_two_looks(busy: str, statements: Looker) -> None:
    looking = asyncio.create_task(statements(url=busy, users="healthd", slow="10ms", sample="600ms"))

    def work() -> None:
        with psycopg.connect(busy, autocommit=True) as connection:
            while not looking.done():
                connection.execute("SELECT pg_sleep(0.02), 'secret' AS word")

    await asyncio.gather(looking, asyncio.to_thread(work))
    measured = values(looking.result())
    assert 0.02 <= float(measured["slowest_mean"]) < 0.1  # before, it was 120 ms
    assert 3 <= float(measured["slow_calls"]) <= 40
    assert float(measured["slow_calls_per_second"]) == pytest.approx(float(measured["slow_calls"]) / 0.62, rel=0.2)
    assert "max_time" not in measured


async def test_a_sample_longer_than_the_timeout(busy: str, statements: Looker) -> None:
    statements.timeout = timedelta(seconds=1)
    with pytest.raises(ProbeError, match=r"a sample of 2s needs a timeout of 2\.5s") as caught:
        await statements(url=busy, sample="2s")
    assert caught.value.kind == "config"


async def test_cancelled_between_the_two_looks(busy: str, statements: Looker) -> None:
    statements.timeout = timedelta(seconds=30)
    looking = asyncio.create_task(statements(url=busy, sample="20s"))
    await until(lambda: bool(sessions(busy)))
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_what_to_do_without_the_extension(postgres: PostgresServer, statements: Looker) -> None:
    url = postgres.create_database()
    with pytest.raises(ProbeError, match="CREATE EXTENSION pg_stat_statements") as caught:
        await statements(url=url)
    assert caught.value.kind == "missing"
    assert repr(url.rsplit("/", 1)[1]) in caught.value.reason


async def test_what_to_do_when_its_library_is_not_loaded(statements: Looker, looker: MakeLooker) -> None:
    """On the other major version that is at hand, too."""
    server = PostgresServer(settings={"shared_preload_libraries": ""}, binaries=system_binaries())
    try:
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")
        with pytest.raises(ProbeError, match="shared_preload_libraries") as caught:
            await statements(url=server.url())
        assert caught.value.kind == "config"
    finally:
        server.remove()


@pytest.mark.probe_failure("postgres_statements")
async def test_a_role_that_sees_no_texts(busy: str, plain: str, statements: Looker) -> None:
    url = f"{plain.rsplit('/', 1)[0]}/{busy.rsplit('/', 1)[1]}"
    with pytest.raises(ProbeError, match="permission denied for schema stats: needs USAGE on it") as caught:
        await statements(url=url)
    assert caught.value.kind == "forbidden"
    with psycopg.connect(busy, autocommit=True) as admin:
        admin.execute("GRANT USAGE ON SCHEMA stats TO plain")
    seen = await statements(url=url, users="app", slow="100ms")
    assert values(seen)["calls"] == 11
    assert "GRANT pg_monitor" in seen.note
    assert "insufficient privilege" in evidence(seen, "slowest statements on average")
