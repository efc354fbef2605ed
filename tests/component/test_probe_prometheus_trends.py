"""Forecasts, comparisons and targets against a real Prometheus; Grafana's alerts as its reference shows them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.looking import Looker, evidence, looking, values
from tests.servers import odd
from tests.servers.prometheus import PrometheusServer
from tests.servers.web import Handler, web_server

NOW = datetime(2026, 1, 20, 12, 0, tzinfo=UTC)
NOON = int(NOW.timestamp())


@asynccontextmanager
async def through(kind: str) -> AsyncIterator[Looker]:
    async with looking(PROBES[kind]) as looker:
        looker.now = NOW
        yield looker


@pytest.fixture
async def forecast() -> AsyncIterator[Looker]:
    async with through("prometheus_forecast") as looker:
        yield looker


@pytest.fixture
async def compare() -> AsyncIterator[Looker]:
    async with through("prometheus_compare") as looker:
        yield looker


@pytest.fixture
async def targets() -> AsyncIterator[Looker]:
    async with looking(PROBES["prometheus_targets"]) as looker:
        yield looker


def rising(mount: str, now: float, per_day: float) -> str:
    """A query whose value is `now` at noon and changes so much a day."""
    line = f"vector({now} + (time() - {NOON}) / 86400 * {per_day})"
    return f'label_replace({line}, "mount", "{mount}", "", "")'


# -- forecasts


async def test_when_a_disk_will_be_full(prometheus: PrometheusServer, forecast: Looker) -> None:
    query = f"{rising('/', 0.70, 0.02)} or {rising('/data', 0.5, -0.01)} or {rising('/full', 0.85, -0.01)}"
    seen = await forecast(url=prometheus.url, query=query, series="mount", unit="ratio", limit="80%", within="7d")
    measured = values(seen)
    assert measured["series_count"] == 3
    assert measured["current{/}"] == pytest.approx(0.70)
    assert measured["forecast{/}"] == pytest.approx(0.84)
    assert measured["days_left{/}"] == pytest.approx(5)
    assert measured["change_per_day{/}"] == pytest.approx(0.02)
    assert measured["quality{/}"] == pytest.approx(1)
    assert measured["points{/}"] == 169
    assert (measured["days_left{/data}"], measured["days_left{/full}"]) == (3650, 0)
    assert seen.note == ""


async def test_limits_from_above_units_and_constants(prometheus: PrometheusServer, forecast: Looker) -> None:
    ask: dict[str, Any] = {"url": prometheus.url, "over": "1d", "step": "30m"}
    seen = values(await forecast(**ask, query=rising("x", 300, -50), unit="MB", limit="< 100MB"))
    assert seen["days_left{mount=x}"] == pytest.approx(4)
    assert seen["current{mount=x}"] == pytest.approx(300e6)
    seen = values(await forecast(**ask, query="vector(5)", limit="> 10"))
    assert (seen["days_left"], seen["quality"], seen["forecast"], seen["change_per_day"]) == (3650, 1, 5, 0)
    assert "days_left" not in values(await forecast(**ask, query="vector(5)"))


@pytest.mark.probe("prometheus_forecast")
async def test_a_line_that_does_not_fit_says_nothing(prometheus: PrometheusServer, forecast: Looker) -> None:
    ask: dict[str, Any] = {"url": prometheus.url, "query": "sin(vector(time() / 20000))", "limit": "> 5"}
    seen = await forecast(**ask)
    measured = values(seen)
    assert float(measured["quality"]) < 0.3
    assert not {"forecast", "days_left", "change_per_day"} & measured.keys()
    assert seen.note == "no forecast for the series: too few points, or a line does not fit them"
    assert "days_left" in values(await forecast(**ask, min_quality=0))
    over = await forecast(**{**ask, "limit": "> -2"})  # over the limit already: no line is needed to see that
    assert values(over)["days_left"] == 0


@pytest.mark.probe_failure("prometheus_forecast")
async def test_what_cannot_be_forecast(prometheus: PrometheusServer, forecast: Looker) -> None:
    with pytest.raises(ProbeError, match="parse error") as caught:
        await forecast(url=prometheus.url, query="rate(x[5m]")
    assert caught.value.kind == "config"
    with pytest.raises(ProbeError) as caught:
        await forecast(url="http://127.0.0.1:1", query="x")
    assert caught.value.kind == "refused"


async def test_too_few_points(prometheus: PrometheusServer, forecast: Looker) -> None:
    seen = await forecast(url=prometheus.url, query=f"vector(time()) and vector(time()) > {NOON - 5 * 3600}")
    assert values(seen)["points"] == 5
    assert "forecast" not in values(seen)


async def test_nothing_to_forecast(prometheus: PrometheusServer, forecast: Looker) -> None:
    seen = await forecast(url=prometheus.url, query="no_such_metric", limit=1)
    assert (values(seen), seen.note) == ({"series_count": 0}, "the query gives no series")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"limit": "= 5"}, "is not a limit"),
        ({"limit": "80%", "unit": "s"}, "limit: "),
        ({"over": "5h"}, "at least min_points"),
        ({"step": "1s"}, "more than 11000"),
        ({"min_quality": 2}, "less than or equal to 1"),
    ],
)
def test_forecast_mistakes_are_found_at_loading(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PROBES["prometheus_forecast"].Params(url="http://h", query="x", **params)


# -- comparisons


async def test_now_against_last_week(prometheus: PrometheusServer, compare: Looker) -> None:
    line = f"vector(100 + (time() - {NOON}) / 604800 * 50)"  # 100 now, 50 a week ago
    seen = values(await compare(url=prometheus.url, query=line, reduce="last", unit="ms"))
    assert seen["current"] == pytest.approx(0.1)
    assert seen["before"] == pytest.approx(0.05)
    assert seen["difference"] == pytest.approx(0.05)
    assert seen["ratio"] == pytest.approx(2)
    assert (seen["series_count"], seen["vanished"]) == (1, 0)
    seen = values(await compare(url=prometheus.url, query="vector(time())", earlier="1d", over="1h", reduce="avg"))
    assert seen["difference"] == pytest.approx(86400)
    assert seen["current"] == pytest.approx(NOON - 1800)


async def test_series_that_come_and_go(prometheus: PrometheusServer, compare: Looker) -> None:
    week = NOON - 604800
    query = (
        f'label_replace(vector(time()) > {week + 3600}, "s", "new", "", "")'
        f' or label_replace(vector(time()) < {week + 3600}, "s", "old", "", "")'
        ' or label_replace(vector(0), "s", "zero", "", "")'
    )
    seen = await compare(url=prometheus.url, query=query, series="s")
    measured = values(seen)
    assert (measured["series_count"], measured["vanished"]) == (2, 1)
    assert "before{new}" not in measured
    assert measured["difference{zero}"] == 0
    assert "ratio{zero}" not in measured
    assert seen.note == "no longer there: old"


@pytest.mark.probe("prometheus_compare")
@pytest.mark.probe_failure("prometheus_compare")
async def test_nothing_to_compare(prometheus: PrometheusServer, compare: Looker) -> None:
    seen = await compare(url=prometheus.url, query="no_such_metric")
    assert (values(seen), seen.note) == ({"series_count": 0, "vanished": 0}, "the query gives no series")
    seen = await compare(url=prometheus.url, query=f"vector(1) and vector(time()) > {NOON - 86400}")
    assert seen.note.startswith("there is nothing to compare with")
    with pytest.raises(ProbeError, match=r"refused the question: .*parse error") as failure:
        await compare(url=prometheus.url, query="sum(")
    assert failure.value.kind == "config"


# -- targets


async def test_targets_by_job(prometheus: PrometheusServer, targets: Looker) -> None:
    seen = await targets(url=prometheus.url)
    assert values(seen) == {
        "targets": 1, "targets{app}": 1, "targets_up": 1, "targets_up{app}": 1,
        "targets_down": 0, "targets_down{app}": 0,
    }  # fmt: skip
    seen = await targets(url=prometheus.url, jobs=["ap*", "node"])
    assert values(seen)["missing_jobs"] == 1
    assert seen.note == "no target for node"


@pytest.mark.probe("prometheus_targets")
async def test_a_target_that_is_down(tmp_path: Path, targets: Looker) -> None:
    server = PrometheusServer(tmp_path)
    server.target.stop()
    server.start()
    try:
        server.wait_for("up == 0")
        seen = await targets(url=server.url)
    finally:
        server._process.stop()  # type: ignore[union-attr]
    assert (values(seen)["targets_down"], values(seen)["targets_down{app}"], values(seen)["targets_up"]) == (1, 1, 0)
    assert seen.note == f"down: app 127.0.0.1:{server.target.port}"
    assert "connection refused" in evidence(seen, "targets down")


@pytest.mark.probe_failure("prometheus_targets")
async def test_what_is_no_prometheus(targets: Looker) -> None:
    async with odd.serving(odd.answers(b'{"status": "success", "data": []}')) as server:
        with pytest.raises(ProbeError, match="is it Prometheus") as failure:
            await targets(url=server.url)
    assert failure.value.kind == "protocol"


# -- Grafana

GRAFANA_ALERTS = [
    {
        "annotations": {"summary": "p95 is 2s", "__dashboardUid__": "overview"},
        "endsAt": "2026-01-20T12:04:00.000Z",
        "fingerprint": "c4f0a2b1",
        "receivers": [{"name": "grafana-default-email"}],
        "startsAt": "2026-01-20T11:30:00.000Z",
        "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
        "updatedAt": "2026-01-20T12:00:00.000Z",
        "generatorURL": "https://grafana.example.com/alerting/grafana/x/view",
        "labels": {"alertname": "HighLatency", "grafana_folder": "API", "severity": "critical"},
    }
]
GRAFANA_RULES = {
    "status": "success",
    "data": {
        "groups": [
            {
                "name": "api",
                "file": "API",
                "interval": 60,
                "rules": [{"state": "firing", "name": "HighLatency", "type": "alerting", "health": "ok", "alerts": []}],
            }
        ]
    },
}


def grafana(seen: list[dict[str, str]]) -> dict[str, Handler]:
    def answer(document: Any) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            seen.append({"auth": request.headers.get("Authorization", ""), **request.query})
            if request.headers.get("Authorization") != "Bearer glsa_0123456789":
                return web.Response(status=401, text='{"message":"Unauthorized"}', content_type="application/json")
            return web.Response(text=json.dumps(document), content_type="application/json")

        return handle

    return {
        "GET /api/alertmanager/grafana/api/v2/alerts": answer(GRAFANA_ALERTS),
        "GET /api/prometheus/grafana/api/v1/rules": answer(GRAFANA_RULES),
    }


async def test_grafanas_own_alerts() -> None:
    asked: list[dict[str, str]] = []
    async with through("prometheus_alerts") as look, web_server(grafana(asked)) as url:
        auth = {"bearer": "glsa_0123456789"}
        seen = await look(url=url, source="grafana", auth=auth, names=["HighLatency", "Renamed"])
        assert values(seen) == {
            "firing": 1, "firing{HighLatency}": 1, "firing{Renamed}": 0, "undefined": 1,
        }  # fmt: skip
        assert seen.note == "firing: HighLatency; no rule is called Renamed"
        assert "since 2026-01-20 11:30 UTC (30m): p95 is 2s" in evidence(seen, "alerts")
        assert asked[0]["silenced"] == "false"
        with pytest.raises(ProbeError, match=r"refused access \(status 401\)") as failure:
            await look(url=url, source="grafana", auth={"bearer": "wrong-token"})
    assert failure.value.kind == "auth"
