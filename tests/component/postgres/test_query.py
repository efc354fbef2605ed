"""The probe postgres_query: results as measures."""

from __future__ import annotations

import psutil
import pytest

from healthd.model.outcomes import Observation, ProbeError
from healthd.model.units import Unit
from tests.component.looking import Looker, evidence, values


def units(seen: Observation) -> dict[str, Unit | None]:
    return {m.name: m.unit for m in seen.measurements}


async def test_one_row_gives_a_measure_per_column(shop: str, query: Looker) -> None:
    seen = await query(url=shop, query="SELECT count(*) AS orders, sum(paid) AS paid, NULL::int AS none FROM orders;")
    assert values(seen) == {"rows": 1, "orders": 3, "paid": 13.5}


async def test_types(shop: str, query: Looker) -> None:
    sql = """
        SELECT interval '1 day 2 minutes' AS age, timestamptz '2026-01-02 03:04:05+02' AS at, true AS yes,
               1.5::numeric AS number, 'NaN'::float8 AS nan, 'word' AS word, '[1, {"a": 2}]'::jsonb AS doc,
               date '2026-01-02' AS day, 42::smallint AS queue_bytes, 7 AS lag_seconds, repeat('x', 500) AS long
    """
    seen = await query(url=shop, query=sql)
    measured = values(seen)
    assert (measured["age"], measured["at"], measured["yes"], measured["number"]) == (86520, 1767315845, 1, 1.5)
    assert str(measured["nan"]) == "nan"
    assert (measured["word"], measured["doc"]) == ("word", '[1, {"a": 2}]')
    assert measured["day"] == 1767312000
    assert len(str(measured["long"])) == 200
    told = units(seen)
    assert (told["age"], told["at"], told["word"]) == (Unit.SECONDS, Unit.TIMESTAMP, Unit.TEXT)
    assert (told["queue_bytes"], told["lag_seconds"], told["number"]) == (Unit.BYTES, Unit.SECONDS, None)


async def test_times_without_a_zone_are_in_the_session_zone(shop: str, query: Looker) -> None:
    url = f"{shop}?options=-c%20timezone%3DAsia/Tokyo"
    seen = values(await query(url=url, query="SELECT timestamp '2026-01-01 09:00' AS at"))
    assert seen["at"] == 1767225600


async def test_series(shop: str, query: Looker) -> None:
    sql = "SELECT state, count(*) AS orders FROM orders GROUP BY state"
    seen = await query(url=shop, query=sql, series="state")
    assert values(seen) == {"rows": 2, "orders{new}": 2, "orders{sent}": 1}


async def test_declared_measures_and_units(shop: str, query: Looker) -> None:
    sql = "SELECT 250 AS mean_exec_time, 80 AS used, '12 MB' AS size, 3 AS ignored"
    declared = {
        "latency": {"column": "mean_exec_time", "unit": "ms"},
        "used": {"column": "used", "unit": "%"},
        "size": {"column": "size", "unit": "bytes"},
    }
    seen = await query(url=shop, query=sql, measures=declared)
    assert values(seen) == {"rows": 1, "latency": 0.25, "used": 0.8, "size": 12e6}
    assert units(seen) == {"rows": "count", "latency": "seconds", "used": "ratio", "size": "bytes"}
    short = await query(url=shop, query=sql, measures={"depth": "ignored"})
    assert values(short) == {"rows": 1, "depth": 3}
    beside = await query(url=shop, query=sql, units={"mean_exec_time": "ms"})
    assert values(beside)["mean_exec_time"] == 0.25


async def test_an_empty_result_is_no_rows(shop: str, query: Looker) -> None:
    seen = await query(url=shop, query="SELECT id FROM orders WHERE state = 'lost'", measures={"id": "id"})
    assert values(seen) == {"rows": 0}


async def test_parameters_are_bound_not_pasted(shop: str, query: Looker) -> None:
    sql = "SELECT count(*) AS found FROM orders WHERE state = %(state)s AND id > %(after)s"
    assert values(await query(url=shop, query=sql, params={"state": "new", "after": 0}))["found"] == 2
    nasty = {"state": "new'; DROP TABLE orders; --", "after": 0}
    assert values(await query(url=shop, query=sql, params=nasty))["found"] == 0
    assert values(await query(url=shop, query="SELECT %s::int + %s::int AS sum", params=[1, 2]))["sum"] == 3
    assert values(await query(url=shop, query="SELECT count(*) AS n FROM orders WHERE state LIKE 'n%'"))["n"] == 2


async def test_a_million_rows_are_counted_not_read(shop: str, query: Looker) -> None:
    before = psutil.Process().memory_info().rss
    seen = await query(
        url=shop, query="SELECT n, repeat('x', 100) AS text FROM generate_series(1, 1000000) n", series="n"
    )
    assert values(seen)["rows"] == 1_000_000
    assert len(seen.measurements) == 1 + 1000
    assert "first 1000 of 1000000" in seen.note
    assert psutil.Process().memory_info().rss - before < 50e6


async def test_rows_without_a_series_are_counted(shop: str, query: Looker) -> None:
    seen = await query(url=shop, query="SELECT id, state FROM orders ORDER BY id")
    assert values(seen) == {"rows": 3}
    assert "series" in seen.note
    assert evidence(seen, "first rows of the result").splitlines()[:2] == ["id | state", "1 | new"]
    with pytest.raises(ProbeError, match="3 rows where one is expected"):
        await query(url=shop, query="SELECT id FROM orders", measures={"id": "id"})


@pytest.mark.parametrize(
    ("sql", "extra", "says"),
    [
        ("SELECT 1 AS a", {"measures": {"x": "b"}}, "no column 'b' in the result: it has a"),
        ("SELECT 1 AS a", {"series": "b"}, "no column 'b'"),
        ("SELECT 1 AS a", {"units": {"b": "ms"}}, "units names 'b'"),
        ("SELECT 1, 2", {}, "column 1 has no name"),
        ("SELECT 1 AS a, 2 AS a", {}, "called 'a'"),
        ("SELECT 1 AS rows", {}, "AS"),
        ("SELECT 'x' AS s, 1 AS n UNION ALL SELECT 'x', 2", {"series": "s"}, "'x' comes twice"),
        ("SELECT 'many' AS a", {"measures": {"a": {"column": "a", "unit": "bytes"}}}, "'many' is not a quantity"),
        ("SELECT id FROM no_such_table", {}, 'relation "no_such_table" does not exist'),
        ("SELECT 1/0 AS a", {}, "division by zero"),
        ("SELECT 'infinity'::timestamptz AS a", {}, "a value cannot be read"),
        ("SELECT a FROM", {}, "syntax error"),
    ],
)
async def test_what_cannot_be_read_is_said(
    shop: str, query: Looker, sql: str, extra: dict[str, object], says: str
) -> None:
    with pytest.raises(ProbeError) as caught:
        await query(url=shop, query=sql, **extra)
    assert says in caught.value.reason


async def test_an_unnamed_single_column_is_called_value(shop: str, query: Looker) -> None:
    assert values(await query(url=shop, query="SELECT 1")) == {"rows": 1, "value": 1}
