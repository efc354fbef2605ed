"""What `healthd permissions` prints for PostgreSQL: a role that is granted just this sees all there is to see."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.postgres.grants import GUARDED_SETTINGS
from tests.component.looking import looking, values
from tests.servers.postgres import PostgresServer

QUERY = """
WITH recent AS (SELECT o.id, extract(epoch FROM now() - o.made) AS age FROM orders AS o, audit."Log" AS l)
SELECT count(*) AS n, (SELECT count(*) FROM pg_stat_activity WHERE query = '<insufficient privilege>') AS hidden
  FROM recent JOIN customers USING (id)
"""
LOOKS: dict[str, dict[str, Any]] = {
    "postgres": {},
    "postgres_query": {"query": QUERY},
    "postgres_connections": {},
    "postgres_activity": {},
    "postgres_locks": {},
    "postgres_statements": {},
    "postgres_tables": {"bloat": True, "tables": ["orders", "customers"]},
    "postgres_size": {"tables": "orders"},
    "postgres_replication": {},
    "postgres_archiver": {},
    "postgres_roles": {"superusers": "postgres"},
    "postgres_settings": {"settings": ["max_connections", "data_directory"]},
}


@dataclass
class Shop:
    """A database with tables and a role that may do nothing, not even connect."""

    server: PostgresServer
    database: str
    role: str

    @property
    def url(self) -> str:
        return self.server.url(self.database, user=self.role, password="word")

    def do(self, *statements: str) -> None:
        with psycopg.connect(self.server.url(self.database), autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement.encode())


@pytest.fixture
def guarded(postgres: PostgresServer) -> Iterator[Shop]:
    url = postgres.create_database()
    database = url.rpartition("/")[2]
    it = Shop(postgres, database, f"watcher_{database}")
    it.do(
        f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC",
        f"CREATE ROLE {it.role} LOGIN PASSWORD 'word'",
        "CREATE EXTENSION pg_stat_statements",
        "CREATE SCHEMA audit",
        'CREATE TABLE audit."Log" (id int)',
        "CREATE TABLE orders (id int, made timestamptz DEFAULT now())",
        "CREATE TABLE customers (id int)",
        "INSERT INTO orders (id) SELECT generate_series(1, 5000)",
        "INSERT INTO customers SELECT generate_series(1, 5000)",
        "ANALYZE",
    )
    with psycopg.connect(postgres.url(database)):  # somebody whose session is to be seen
        yield it
    it.do(f"DROP OWNED BY {it.role}", f"DROP ROLE {it.role}")


def printed(folder: Path, url: str) -> list[str]:
    checks = [
        {"name": kind.replace("_", "-"), "every": "1m", "probe": {"type": kind, "url": url, **params}}
        for kind, params in LOOKS.items()
    ]
    (folder / "shop").mkdir()
    (folder / "shop/system.yaml").write_text(yaml.safe_dump({"system": {"name": "shop"}, "checks": checks}))
    done = subprocess.run(
        [sys.executable, "-m", "healthd", "permissions", str(folder / "shop"), "--kind", "sql", "--format", "json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "word" not in done.stdout
    [database] = json.loads(done.stdout)["sql"]
    return list(database["statements"])


async def seen(kind: str, url: str) -> tuple[frozenset[str], str]:
    """The measures, and what is said to be missing."""
    async with looking(PROBES[kind]) as look:
        try:
            found = await look(url=url, **LOOKS[kind])
        except ProbeError as error:
            return frozenset(), error.reason
        measured = values(found)
        hidden = {"hidden": measured.pop("hidden")} if measured.get("hidden") else {}
        return frozenset(measured) - {"hidden"}, "pg_monitor" if hidden or "grant" in found.note.lower() else ""


def test_every_type_is_tried() -> None:
    assert LOOKS.keys() == {kind for kind in PROBES if kind.startswith("postgres")}


async def test_the_grants_printed_show_what_a_superuser_sees_and_each_is_needed(guarded: Shop, tmp_path: Path) -> None:
    admin = guarded.server.url(guarded.database)
    everything = {kind: await seen(kind, admin) for kind in LOOKS}
    assert {k: v for k, v in everything.items() if not v[0] or v[1]} == {}
    statements = printed(tmp_path, guarded.url)
    guarded.do(*statements)
    assert {kind: await seen(kind, guarded.url) for kind in LOOKS} == everything
    for statement in statements:
        guarded.do(statement.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
        now = {kind: await seen(kind, guarded.url) for kind in LOOKS}
        assert now != everything, f"not needed: {statement}"
        guarded.do(statement)
    assert {kind: await seen(kind, guarded.url) for kind in LOOKS} == everything


async def test_settings_that_are_guarded(guarded: Shop) -> None:
    guarded.do(f"GRANT CONNECT ON DATABASE {guarded.database} TO {guarded.role}")
    names = sql.SQL("SELECT lower(name) FROM pg_settings")
    with psycopg.connect(guarded.server.url(guarded.database)) as admin, psycopg.connect(guarded.url) as plain:
        hidden = {name for (name,) in admin.execute(names)} - {name for (name,) in plain.execute(names)}
    assert hidden >= {"data_directory", "hba_file"}
    assert hidden <= GUARDED_SETTINGS
