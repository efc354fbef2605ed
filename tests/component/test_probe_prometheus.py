"""The prometheus and prometheus_alerts probes against a real Prometheus and a real Alertmanager."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.base import ProbeLimits
from healthd.probes.prometheus import PrometheusAlertsProbe, PrometheusProbe
from tests.component.looking import Looker, evidence, looking, values
from tests.servers import odd
from tests.servers.nginx import NginxServer
from tests.servers.process import free_port
from tests.servers.prometheus import AlertmanagerServer, PrometheusServer


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["prometheus"]) as looker:
        yield looker


@pytest.fixture
async def look_alerts() -> AsyncIterator[Looker]:
    async with looking(PROBES["prometheus_alerts"]) as looker:
        yield looker


# -- queries


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(playback_drift_seconds)", {"value": 4.5, "series_count": 1}),
        ("42", {"value": 42, "series_count": 1}),
        ("sum(requests_total) by (method)", {"value{method=GET}": 100, "value{method=POST}": 20, "series_count": 2}),
    ],
)
async def test_instant_queries(
    prometheus: PrometheusServer, look: Looker, query: str, expected: dict[str, float]
) -> None:
    seen = await look(url=prometheus.url, query=query)
    assert values(seen) == expected
    assert seen.note == ""
    assert evidence(seen, "query") == query


async def test_series_are_named_by_label_or_template(prometheus: PrometheusServer, look: Looker) -> None:
    by_label = await look(url=prometheus.url, query="playback_drift_seconds", series="room", measure="drift")
    assert values(by_label) == {"drift{red}": 4, "drift{blue}": 0.5, "series_count": 2}
    template = await look(url=prometheus.url, query="requests_total", series="{method}/{code}")
    assert values(template)["value{POST/500}"] == 0


async def test_names_that_do_not_tell_series_apart(prometheus: PrometheusServer, look: Looker) -> None:
    with pytest.raises(ProbeError, match="several series are called 'POST'") as failure:
        await look(url=prometheus.url, query="requests_total", series="method")
    assert failure.value.kind == "config"


async def test_units_become_base_units(prometheus: PrometheusServer, look: Looker) -> None:
    seen = await look(url=f"{prometheus.url}/", query="vector(250)", unit="ms")
    assert seen.measurements[0].value == pytest.approx(0.25)
    assert seen.measurements[0].unit == "seconds"


async def test_ranges_are_reduced(look: Looker, prometheus: PrometheusServer) -> None:
    ask: dict[str, Any] = {"url": prometheus.url, "query": "vector(time() - time() % 10)"}
    look.now = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    at = look.now.timestamp()
    for reduce, expected in {
        "min": at - 60,
        "max": at,
        "last": at,
        "avg": at - 30,
        "delta": 60,
        "p50": at - 30,
    }.items():
        seen = await look(**ask, range={"over": "1m", "step": "10s", "reduce": reduce})
        assert values(seen)["value"] == pytest.approx(expected), reduce


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("no_such_metric", "the query gives no series"),
        ("vector(0) / 0", "the query gives only NaN or infinity"),
        ("vector(1) / 0", "the query gives only NaN or infinity"),
        ("scalar(no_such_metric)", "the query gives only NaN or infinity"),
    ],
)
async def test_nothing_is_never_zero(prometheus: PrometheusServer, look: Looker, query: str, note: str) -> None:
    seen = await look(url=prometheus.url, query=query)
    assert (values(seen), seen.note) == ({"series_count": 0}, note)
    zero = await look(url=prometheus.url, query=query, empty=0)
    assert (values(zero), zero.note) == ({"value": 0, "series_count": 0}, note)


async def test_some_series_are_not_numbers(prometheus: PrometheusServer, look: Looker) -> None:
    seen = await look(url=prometheus.url, query='requests_total{code="500"} / 0 or requests_total{code="200"}')
    assert values(seen)["series_count"] == 2
    assert seen.note == "1 of 3 series are NaN or infinity"


@pytest.mark.probe_failure("prometheus")
async def test_a_wrong_query_is_told_in_prometheus_words(prometheus: PrometheusServer, look: Looker) -> None:
    with pytest.raises(ProbeError, match=r"refused the question: .*parse error") as failure:
        await look(url=prometheus.url, query="sum(")
    assert failure.value.kind == "config"


@pytest.mark.probe("prometheus")
async def test_a_long_query(prometheus: PrometheusServer, look: Looker) -> None:
    seen = await look(url=prometheus.url, query=" + ".join(["vector(1)"] * 1000))
    assert values(seen)["value"] == 1000


async def test_no_prometheus_there(nginx: NginxServer, look: Looker) -> None:
    with pytest.raises(ProbeError, match="connection refused") as refused:
        await look(url=f"http://127.0.0.1:{free_port()}", query="up")
    with pytest.raises(ProbeError, match=r"no-such-host\.invalid") as lost:
        await look(url="http://no-such-host.invalid", query="up")
    with pytest.raises(ProbeError, match="answered with status 404"):
        await look(url=nginx.url, query="up")
    with pytest.raises(ProbeError, match="certificate"):
        await look(url=nginx.tls_url, query="up")
    assert (refused.value.kind, lost.value.kind) == ("refused", "dns")


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (odd.answers(b"<html>"), "did not answer with JSON"),
        (odd.answers(b"{}"), "not one of Prometheus"),
        (odd.answers(b"[]"), "not one of Prometheus"),
        (odd.answers(b'{"data":{"resultType":"vector","result":[{"value":[1,"x"],"metric":{}}]}}'), "not one of"),
        (odd.answers(b'{"data":{"resultType":"string","result":[1,"a"]}}'), "gives a string: expected numbers"),
        (odd.answers(b'{"data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}'), "histograms"),
        (odd.answers(b"no", status="401 Unauthorized"), "refused access"),
        (odd.answers(b"", "Location: /login", status="302 Found"), "status 302"),
        (odd.endless, "longer than 1MB"),
        (odd.silent, "no answer within 1s"),
        (odd.closes, "connection closed"),
        (odd.says(b"garbage\r\n\r\n"), "not HTTP"),
        (odd.answers(b"no gzip", "Content-Encoding: gzip"), "cannot be decompressed"),
        (odd.answers(odd.bomb(100), "Content-Encoding: gzip"), "longer than 1MB"),
        (odd.answers(b"[" * 900_000), "did not answer with JSON"),
    ],
)
async def test_something_else_there(look: Looker, handler: odd.Handler, message: str) -> None:
    look.timeout = timedelta(seconds=1)
    async with odd.serving(handler) as server:
        with pytest.raises(ProbeError, match=message):
            await look(url=server.url, query="up")


async def test_warnings_are_shown(look: Looker) -> None:
    body = b'{"status":"success","data":{"resultType":"scalar","result":[1,"2"]},"warnings":["a store was away"]}'
    async with odd.serving(odd.answers(body)) as server:
        seen = await look(url=server.url, query="2")
    assert evidence(seen, "warnings") == "a store was away"


async def test_credentials_are_sent_and_never_shown(look: Looker) -> None:
    record: list[bytes] = []
    handler = odd.answers(b'{"error":"token-1234 is wrong","errorType":"x"}', status="400 Bad", record=record)
    async with odd.serving(handler) as server:
        ask = {"url": server.url, "query": "up", "auth": {"bearer": "token-1234"}, "headers": {"X-Scope-OrgID": "one"}}
        with pytest.raises(ProbeError) as failure:
            await look(**ask)
    assert b"Authorization: Bearer token-1234" in record[0]
    assert b"X-Scope-OrgID: one" in record[0]
    assert "token-1234" not in str(failure.value) + repr(PrometheusProbe.Params(**ask))


async def test_one_question_for_a_whole_batch(look: Looker) -> None:
    record: list[bytes] = []
    body = b'{"data":{"resultType":"scalar","result":[1,"2"]}}'
    async with odd.serving(odd.answers(body, record=record)) as server:
        for measure in ("a", "b", "c"):
            assert values(await look(url=server.url, query="2", measure=measure))[measure] == 2
    assert len(record) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"url": "prometheus:9090"}, "expected http://host:9090"),
        ({"url": "http://x/api/v1/query"}, "address of the server only"),
        ({"url": "http://a:b@x/"}, "under auth"),
        ({"query": ""}, "at least 1 character"),
        ({"measure": "series_count"}, "choose another name"),
        ({"range": {"over": "1h", "reduce": "mean"}}, "unknown reduce 'mean'"),
        ({"range": {"over": "30d", "step": "1s"}}, "more than 11000 points"),
        ({"range": {"over": "1h", "step": "0s"}}, "step must be above 0"),
        ({"series": "{pod"}, "not a template"),
        ({"series": "a b"}, "not a label's name"),
        ({"unit": "parsecs"}, "unknown unit"),
        ({"empty": "zero"}, "'missing'"),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PrometheusProbe.Params(**{"url": "http://x", "query": "up", **params})


# -- alerts


async def test_firing_alerts(prometheus: PrometheusServer, look_alerts: Looker) -> None:
    seen = await look_alerts(url=prometheus.url)
    assert values(seen) == {
        "firing": 1, "firing{HighDrift}": 1, "pending": 2, "pending{SomeDrift}": 2,
    }  # fmt: skip
    assert seen.note == "firing: HighDrift"
    shown = evidence(seen, "alerts")
    assert "HighDrift{" in shown
    assert "room=red" in shown
    assert ": Drift in red is 4s" in shown


@pytest.mark.parametrize(
    ("chosen", "firing"),
    [
        ({"match": ['severity="critical"']}, 1),
        ({"match": {"severity": "warning"}}, 0),
        ({"match": ["team=~plat.*", "severity!=warning"]}, 1),
        ({"match": 'room!~"red|blue"'}, 0),
        ({"names": ["High*"]}, 1),
        ({"names": ["Some*"]}, 0),
        ({"match": ["team="]}, 0),
    ],
)
async def test_alerts_are_chosen(
    prometheus: PrometheusServer, look_alerts: Looker, chosen: dict[str, Any], firing: int
) -> None:
    assert values(await look_alerts(url=prometheus.url, **chosen))["firing"] == firing


async def test_named_alerts_are_there_when_quiet_and_missed_when_undefined(
    prometheus: PrometheusServer, look_alerts: Looker
) -> None:
    seen = await look_alerts(url=prometheus.url, names=["NeverFires", "HihgDrift"])
    assert values(seen)["firing"] == 0
    assert (values(seen)["firing{NeverFires}"], values(seen)["undefined"]) == (0, 1)
    assert seen.note == "no rule is called HihgDrift"


@pytest.mark.probe("prometheus_alerts")
async def test_alertmanager_leaves_out_what_is_silenced(alertmanager: AlertmanagerServer, look_alerts: Looker) -> None:
    now = datetime.now(UTC)
    labels = [{"alertname": "DiskFull", "host": "a"}, {"alertname": "DiskFull", "host": "b"}, {"alertname": "Quiet"}]
    alertmanager.post(
        "/api/v2/silences",
        {
            "matchers": [{"name": "alertname", "value": "Quiet", "isRegex": False}],
            "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "test", "comment": "known",
        },
    )  # fmt: skip
    alertmanager.post("/api/v2/alerts", [{"labels": one, "annotations": {"summary": "full"}} for one in labels])
    ask = {"url": alertmanager.url, "source": "alertmanager"}
    seen = await look_alerts(**ask)
    assert values(seen) == {"firing": 2, "firing{DiskFull}": 2}
    assert "DiskFull{host=a} firing since" in evidence(seen, "alerts")
    assert values(await look_alerts(**ask, include_silenced=True))["firing"] == 3


@pytest.mark.probe_failure("prometheus_alerts")
async def test_the_other_kind_of_server(
    prometheus: PrometheusServer, alertmanager: AlertmanagerServer, look_alerts: Looker
) -> None:
    with pytest.raises(ProbeError, match="status 404"):
        await look_alerts(url=prometheus.url, source="alertmanager")
    with pytest.raises(ProbeError, match=r"is it prometheus\?|status"):
        await look_alerts(url=alertmanager.url)


async def test_many_alerts_stay_readable(look_alerts: Looker) -> None:
    one = '{"labels":{"alertname":"A%d"},"state":"firing","activeAt":"2026-01-01T00:00:00.123456789Z","annotations":{}}'
    body = '{"data":{"alerts":[' + ",".join(one % i for i in range(300)) + "]}}"
    async with odd.serving(odd.answers(body.encode())) as server:
        look_alerts.limits = replace(ProbeLimits(), max_evidence_chars=1500)
        seen = await look_alerts(url=server.url)
    assert values(seen)["firing"] == 300
    assert seen.note == "firing: A0, A1, A10, A100, A101 and 295 more"
    assert len(evidence(seen, "alerts")) <= 1500


def test_bad_matchers_are_refused() -> None:
    for wrong in (["severity"], ["a=~("], ["1a=b"]):
        with pytest.raises(ValidationError, match=r"not a (label matcher|regular expression)"):
            PrometheusAlertsProbe.Params(url="http://x", match=wrong)
