"""The datadog probes against a server that answers as the reference of Datadog's API, version 1, says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.looking import Looker, evidence, looking, values
from tests.servers import odd
from tests.servers.process import free_port
from tests.servers.web import Handler, web_server

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEYS = {"api_key": "0123456789abcdef", "app_key": "fedcba9876543210"}


def series(points: list[list[float | None]], *tags: str) -> dict[str, Any]:
    return {
        "unit": [{"family": "percentage", "name": "percent", "scale_factor": 1.0, "short_name": "%"}, None],
        "query_index": 0, "aggr": "avg", "metric": "system.cpu.user", "tag_set": list(tags),
        "expression": "avg:system.cpu.user{host:a}", "scope": ",".join(tags) or "*", "interval": 300,
        "length": len(points), "start": 1, "end": 2, "pointlist": points, "display_name": "system.cpu.user",
        "attributes": {},
    }  # fmt: skip


def points(*numbers: float | None, end: datetime = NOW) -> list[list[float | None]]:
    last = end.timestamp() * 1000
    return [[last - (len(numbers) - n) * 60_000, number] for n, number in enumerate(numbers)]


def monitor(number: int, name: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "name": name, "overall_state": state, "type": "query alert", "query": "avg(last_5m):x > 1",
        "message": "@slack", "tags": ["team:api"], "options": {"silenced": {}, "thresholds": {"critical": 1.0}},
        "multi": False, "matching_downtimes": [], "created": "2024-01-01T00:00:00+00:00", "priority": None, **more,
    }  # fmt: skip


class Datadog:
    """Answers as it is told; `asked` are the queries."""

    def __init__(self) -> None:
        self.series: list[dict[str, Any]] = []
        self.monitors: list[dict[str, Any]] = []
        self.answer: tuple[int, Any, dict[str, str]] | None = None
        self.asked: list[dict[str, str]] = []

    def handlers(self) -> dict[str, Handler]:
        return {"GET /api/v1/query": self.query, "GET /api/v1/monitor": self.list}

    def _refusal(self, request: web.Request) -> web.Response | None:
        self.asked.append(dict(request.query))
        sent = (request.headers.get("DD-API-KEY"), request.headers.get("DD-APPLICATION-KEY"))
        if sent != (KEYS["api_key"], KEYS["app_key"]):
            return web.json_response({"errors": ["Forbidden"]}, status=403)
        if self.answer is not None:
            status, document, headers = self.answer
            return web.json_response(document, status=status, headers=headers)
        return None

    async def query(self, request: web.Request) -> web.Response:
        return self._refusal(request) or web.json_response(
            {
                "status": "ok",
                "res_type": "time_series",
                "resp_version": 1,
                "query": request.query["query"],
                "from_date": 1,
                "to_date": 2,
                "series": self.series,
                "values": [],
                "times": [],
                "message": "",
                "group_by": [],
            }
        )

    async def list(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        page, size = int(request.query["page"]), int(request.query["page_size"])
        return refusal or web.json_response(self.monitors[page * size : (page + 1) * size])


@pytest.fixture
async def datadog() -> AsyncIterator[tuple[Datadog, dict[str, Any]]]:
    """The server, and the parameters to ask it with."""
    server = Datadog()
    async with web_server(server.handlers()) as url:
        yield server, {"url": url, **KEYS}


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["datadog"]) as looker:
        looker.now = NOW
        yield looker


@pytest.fixture
async def look_monitors() -> AsyncIterator[Looker]:
    async with looking(PROBES["datadog_monitors"]) as looker:
        yield looker


# -- metrics


@pytest.mark.probe("datadog")
async def test_a_query_becomes_measures(datadog: tuple[Datadog, dict[str, Any]], look: Looker) -> None:
    server, ask = datadog
    server.series = [series(points(10, None, 30), "host:a", "env:prod"), series(points(50, 50), "host:b", "env:prod")]
    seen = await look(
        **ask, query="avg:system.cpu.user{*} by {host}", unit="%", measure="cpu", series="host", over="1h"
    )
    assert values(seen) == {"cpu{a}": pytest.approx(0.2), "cpu{b}": 0.5, "series_count": 2, "newest_age": 60}
    asked = server.asked[0]
    assert int(asked["to"]) - int(asked["from"]) == 3600
    assert asked["query"] == "avg:system.cpu.user{*} by {host}"
    last = values(await look(**ask, query="q", reduce="max", series="{host}/{env}"))
    assert last["value{a/prod}"] == 30


async def test_a_single_number_and_none(datadog: tuple[Datadog, dict[str, Any]], look: Looker) -> None:
    server, ask = datadog
    server.series = [series(points(1, 2, 3))]
    assert values(await look(**ask, query="x", reduce="last"))["value"] == 3
    look.shared.clear()
    server.series = [series(points(None, None))]
    seen = await look(**ask, query="x")
    assert (values(seen), seen.note) == ({"series_count": 0}, "the query gives no points")
    assert values(await look(**ask, query="x", empty=0))["value"] == 0


@pytest.mark.probe_failure("datadog")
async def test_series_that_cannot_be_told_apart(datadog: tuple[Datadog, dict[str, Any]], look: Looker) -> None:
    server, ask = datadog
    server.series = [series(points(1), "host:a"), series(points(2), "host:a")]
    with pytest.raises(ProbeError, match="several series are called 'a'"):
        await look(**ask, query="x", series="host")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((400, {"errors": ["Error parsing query: unable to parse"]}, {}), "config", "unable to parse"),
        ((200, {"status": "error", "error": "Rule 'scope' didn't match", "series": []}, {}), "config", "didn't match"),
        ((429, {"errors": ["Rate limit"]}, {"X-RateLimit-Reset": "17"}), "limit", "too often; again in 17s"),
        ((401, {"errors": ["Unauthorized"]}, {}), "auth", "refused access"),
        ((500, {"errors": ["Internal"]}, {}), "protocol", "Internal"),
        ((200, {"pages": []}, {}), "protocol", "is it Datadog"),
        ((200, [1], {}), "protocol", "is it Datadog"),
    ],
)
async def test_refusals(
    datadog: tuple[Datadog, dict[str, Any]], look: Looker, answer: Any, kind: str, words: str
) -> None:
    datadog[0].answer = answer
    with pytest.raises(ProbeError, match=words) as failure:
        await look(**datadog[1], query="x")
    assert failure.value.kind == kind


async def test_wrong_keys_name_what_is_needed_and_are_not_shown(
    datadog: tuple[Datadog, dict[str, Any]], look: Looker
) -> None:
    with pytest.raises(ProbeError, match="lacks timeseries_query") as failure:
        await look(**{**datadog[1], "app_key": "not-the-key"}, query="x")
    assert failure.value.kind == "forbidden"
    assert "not-the-key" not in repr(failure.value.args)


async def test_what_does_not_answer(look: Looker) -> None:
    with pytest.raises(ProbeError, match="connection refused"):
        await look(url=f"http://127.0.0.1:{free_port()}", **KEYS, query="x")
    async with odd.serving(odd.answers(b"<html>login</html>")) as server:
        with pytest.raises(ProbeError, match="did not answer with JSON"):
            await look(url=server.url, **KEYS, query="x")


# -- monitors


@pytest.mark.probe("datadog_monitors")
async def test_monitors_by_state(datadog: tuple[Datadog, dict[str, Any]], look_monitors: Looker) -> None:
    server, ask = datadog
    server.monitors = [
        monitor(1, "API latency", "Alert"),
        monitor(2, "API errors", "OK"),
        monitor(3, "Disk", "Warn"),
        monitor(4, "Queue", "No Data"),
        monitor(5, "Muted", "Alert", options={"silenced": {"*": None}}),
        monitor(6, "In a downtime", "Alert", matching_downtimes=[{"id": 9, "scope": ["*"], "start": 1, "end": None}]),
        monitor(7, "One group muted", "Alert", options={"silenced": {"host:x": None}}),
    ]
    seen = await look_monitors(**ask)
    assert values(seen) == {
        "monitors": 5, "muted": 2, "alerting": 2, "alerting{API latency}": 1, "alerting{One group muted}": 1,
        "warning": 1, "warning{Disk}": 1, "no_data": 1, "no_data{Queue}": 1,
    }  # fmt: skip
    assert seen.note == "alerting: API latency, One group muted"
    assert "Alert: API latency (1)" in evidence(seen, "monitors")
    assert values(await look_monitors(**ask, include_muted=True))["alerting"] == 4
    assert values(await look_monitors(**ask, names="API *"))["monitors"] == 2


async def test_monitors_come_in_pages_and_by_tags(
    datadog: tuple[Datadog, dict[str, Any]], look_monitors: Looker
) -> None:
    server, ask = datadog
    server.monitors = [monitor(n, f"m{n}", "OK") for n in range(401)]
    seen = await look_monitors(**ask, tags=["env:prod", "team:api"], monitor_tags="tier:1")
    assert values(seen)["monitors"] == 401
    assert [asked["page"] for asked in server.asked] == ["0", "1", "2"]
    assert (server.asked[0]["tags"], server.asked[0]["monitor_tags"]) == ("env:prod,team:api", "tier:1")


@pytest.mark.probe_failure("datadog_monitors")
async def test_monitors_that_are_none(datadog: tuple[Datadog, dict[str, Any]], look_monitors: Looker) -> None:
    seen = await look_monitors(**datadog[1])
    assert (values(seen)["monitors"], seen.note) == (0, "no monitor is like that")
    look_monitors.shared.clear()
    datadog[0].answer = (403, {"errors": ["Forbidden"]}, {})
    with pytest.raises(ProbeError, match="lacks monitors_read"):
        await look_monitors(**datadog[1])


@pytest.mark.parametrize(
    "params", [{"reduce": "middle"}, {"measure": "series_count"}, {"over": 0}, {"unit": "parsec"}, {"api_key": None}]
)
def test_mistakes_are_found_at_loading(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PROBES["datadog"].Params(**{**KEYS, "query": "x", **params})
