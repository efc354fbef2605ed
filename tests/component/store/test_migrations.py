"""A database gets the current schema by itself, whichever version it comes from; a newer one is refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text

from healthd.store import SqlStore
from healthd.store.base import Commit, StoreError
from healthd.store.migrate import SCRIPTS
from healthd.store.schema import HEAD, VERSION_TABLE, metadata
from tests.component.store.examples import DAY, T0, outcome

ROOT = Path(__file__).parents[3]


def engine_for(url: str) -> Engine:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def migrate(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine_for(url).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def layout(connection: Connection) -> object:
    """Everything the database itself says about our tables."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")).all()
        return [(*row[:3], " ".join((row.sql or "").split())) for row in rows]
    columns = text(
        "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, is_identity"
        " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 3"
    )
    indexes = text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
    constraints = text(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace ORDER BY 1"
    )
    return [connection.execute(query).all() for query in (columns, indexes, constraints)]


async def opened(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def two_urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a.db'}", f"sqlite:///{tmp_path / 'b.db'}"
    server = request.getfixturevalue("postgres")
    return server.create_database(), server.create_database()


def test_head_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_creating_and_migrating_give_the_same_schema(two_urls: tuple[str, str]) -> None:
    created, migrated = two_urls
    await opened(created)
    migrate(migrated, "head")
    with engine_for(created).connect() as one, engine_for(migrated).connect() as other:
        assert layout(one) == layout(other)


async def test_the_schema_is_what_the_code_describes(url: str) -> None:
    migrate(url, "head")
    with engine_for(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


async def test_an_older_database_is_migrated_with_its_records(url: str) -> None:
    migrate(url, "0001")
    with engine_for(url).begin() as connection:
        connection.execute(text("INSERT INTO healthd_outcomes VALUES ('shop/web', 0, 1, '{\"reason\":\"old\"}')"))
    store = SqlStore(url)
    await store.open()
    assert [o.reason for o in await store.outcomes("shop/web")] == ["old"]
    await store.commit(Commit(outcomes=(outcome(value=1.0),)))
    await store.prune(T0 + DAY, outcomes=DAY, history=400 * DAY)  # uses what 0002 brought
    await store.close()


async def test_the_database_of_a_newer_healthd_is_refused_and_left_alone(url: str) -> None:
    await opened(url)
    with engine_for(url).begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"newer healthd.*9999") as caught:
        await SqlStore(url).open()
    assert not caught.value.transient
    with engine_for(url).connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == "9999"


async def test_many_daemons_opening_one_database_at_once_all_succeed(url: str) -> None:
    """Each a process of its own, as daemons are."""
    script = (
        "import asyncio, sys\n"
        "from healthd.store import SqlStore\n"
        "async def main():\n"
        "    store = SqlStore(sys.argv[1]); await store.open(); await store.close()\n"
        "asyncio.run(main())\n"
    )
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", script, url, cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in started:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()


async def test_a_failing_migration_leaves_the_database_as_it_was(url: str) -> None:
    migrate(url, "0001")
    with engine_for(url).begin() as connection:  # in the way of what 0002 creates
        connection.execute(text("CREATE TABLE healthd_hourly (x INTEGER)"))
        before = layout(connection)
    with pytest.raises(StoreError, match="healthd_hourly"):
        await SqlStore(url).open()
    with engine_for(url).connect() as connection:
        assert layout(connection) == before


async def test_opening_a_current_database_imports_no_alembic_and_is_quick(url: str) -> None:
    await opened(url)
    script = (
        "import asyncio, sys, time\n"
        "from healthd.store import SqlStore\n"
        "import healthd.store.sqlstore, psycopg\n"
        "async def main():\n"
        "    store = SqlStore(sys.argv[1]); began = time.process_time(); await store.open()\n"
        "    print(time.process_time() - began, 'alembic' in sys.modules); await store.close()\n"
        "asyncio.run(main())\n"
    )
    run = subprocess.run([sys.executable, "-c", script, url], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, alembic = run.stdout.split()
    assert alembic == "False"
    assert float(seconds) < 0.2
