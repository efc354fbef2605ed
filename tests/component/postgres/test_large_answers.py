"""However much a query selects, healthd takes only so much of it."""

from __future__ import annotations

import resource
from datetime import timedelta

import pytest

from healthd.model.outcomes import ProbeError
from tests.component.looking import Looker, values
from tests.servers.postgres import PostgresServer

FIELD = "SELECT repeat('x', 100000000) AS field"
ROWS = "SELECT n, repeat('x', 1000000) AS field FROM generate_series(1, 100) AS n"


# kilobytes; one field arrives on loopback faster than a busy machine looks how much has come, rows are read one by one
@pytest.mark.parametrize(("sql", "growth"), [(FIELD, 250_000), (ROWS, 100_000)])
async def test_more_than_can_be_taken(postgres: PostgresServer, query: Looker, sql: str, growth: int) -> None:
    url = postgres.url()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    query.timeout = timedelta(seconds=60)
    with pytest.raises(ProbeError, match="larger than 8 MB") as caught:
        await query(url=url, query=sql)
    assert caught.value.kind == "limit"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < growth
    assert values(await query(url=url, query="SELECT 1 AS one"))["one"] == 1


async def test_what_is_large_but_can_be_taken(postgres: PostgresServer, query: Looker) -> None:
    sql = "SELECT n, repeat('x', 5000) AS field FROM generate_series(1, 1000) AS n"
    seen = await query(url=postgres.url(), query=sql, series="n", measures={"field": "field"}, show_rows=0)
    assert values(seen)["rows"] == 1000
