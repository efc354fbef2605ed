"""Probes to look with, and servers to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from healthd.probes.postgres import PostgresConnectionsProbe, PostgresProbe, PostgresQueryProbe
from tests.component.looking import Looker, looking
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
def shop(postgres: PostgresServer) -> str:
    """A database with a table of three rows."""
    url = postgres.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id serial PRIMARY KEY, state text, paid numeric)")
        connection.execute("INSERT INTO orders (state, paid) VALUES ('new', 10.5), ('new', NULL), ('sent', 3)")
    return url
