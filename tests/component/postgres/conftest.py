"""Probes to look with, and servers to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from healthd.probes.base import Probe, Resources
from healthd.probes.postgres import PostgresConnectionsProbe, PostgresProbe, PostgresQueryProbe
from tests.component.looking import FreshLooker, Looker, looking
from tests.servers.postgres import PostgresServer


@pytest.fixture
async def server() -> AsyncIterator[Looker]:
    async with looking(PostgresProbe()) as looker:
        yield looker


@pytest.fixture
async def query() -> AsyncIterator[Looker]:
    async with looking(PostgresQueryProbe()) as looker:
        yield looker


@pytest.fixture
async def connections() -> AsyncIterator[Looker]:
    async with looking(PostgresConnectionsProbe()) as looker:
        yield looker


@pytest.fixture(scope="package")
def own() -> Iterator[PostgresServer]:
    """A server of these tests' own, to stop, pause and fill up."""
    server = PostgresServer(settings={"max_connections": "12", "superuser_reserved_connections": "3"})
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="package")
def primary() -> Iterator[PostgresServer]:
    """A server with a replica and an archive."""
    server = PostgresServer(
        settings={"archive_mode": "on", "archive_command": "true", "wal_receiver_status_interval": "1"}
    )
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="package")
def replica(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Its replica, called reports, on a slot of that name."""
    server = PostgresServer(primary=primary, name="reports")
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
def plain(postgres: PostgresServer) -> str:
    """The URL of a role that may do nothing but log in."""
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'plain'").fetchone():
            admin.execute("CREATE ROLE plain LOGIN PASSWORD 'word'")
    return postgres.url(user="plain", password="word")


@pytest.fixture
async def looker() -> AsyncIterator[Callable[[Probe], Looker]]:
    """Makes a Looker of any probe; each of its looks is a run of its own."""
    resources = Resources()
    yield lambda probe: FreshLooker(probe, resources)
    await resources.close()


@pytest.fixture(scope="package")
def shop(postgres: PostgresServer) -> str:
    """A database with a table of three rows."""
    url = postgres.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id serial PRIMARY KEY, state text, paid numeric)")
        connection.execute("INSERT INTO orders (state, paid) VALUES ('new', 10.5), ('new', NULL), ('sent', 3)")
    return url
