"""The sandbox's stand-in for Prometheus answers as the real Prometheus does, from the same application."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from healthd.sandbox.parts.monitoring.standin import StandIn
from tests.servers.process import Process, free_port

METRICS = """\
# TYPE http_requests_total counter
http_requests_total{{route="/a",status="200"}} {ok}
http_requests_total{{route="/b",status="200"}} {twice}
http_requests_total{{route="/a",status="503"}} {bad}
# TYPE latency_seconds histogram
latency_seconds_bucket{{le="0.1"}} {ok}
latency_seconds_bucket{{le="0.5"}} {twice}
latency_seconds_bucket{{le="+Inf"}} {all}
latency_seconds_sum {all}
latency_seconds_count {all}
# TYPE memory_used gauge
memory_used{{instance="one"}} 30
memory_used{{instance="two"}} 80
# TYPE memory_total gauge
memory_total{{instance="one"}} 100
memory_total{{instance="two"}} 100
# TYPE drift summary
drift{{quantile="0.5"}} 20
drift{{quantile="0.95"}} NaN
"""

QUERIES = [
    "1 + 2 * 3 - 4 / 8",
    "memory_used / memory_total",
    "1 - memory_used / memory_total",
    "memory_used / memory_total > 0.5",
    "memory_used > bool 50",
    "max(memory_used)",
    "sum by (instance) (memory_used)",
    "sum without (instance, job) (memory_used)",
    "avg(memory_used) by (job)",
    "count(http_requests_total)",
    'sum(http_requests_total{status=~"5..",route!="/b"}) / sum(http_requests_total) < bool 1',
    'nothing_like_it{a="b"}',
    "nothing_like_it or vector(0)",
    "memory_used or memory_total",
    'memory_used and memory_total{instance="one"}',
    'memory_used unless memory_total{instance="one"}',
    "absent(nothing_like_it)",
    "absent(memory_used)",
    'up{job="syncwatch"} == 1',
    "max_over_time(memory_used[10s])",
    "avg_over_time(memory_used[10s])",
    'drift{quantile="0.95"}',
    "-memory_used",
]

# these depend on when exactly each server scraped
CLOSE = [
    'sum(rate(http_requests_total{status=~"5.."}[8s])) / sum(rate(http_requests_total[8s]))',
    "sum(rate(http_requests_total[8s]))",
    "histogram_quantile(0.5, sum by (le) (rate(latency_seconds_bucket[8s])))",
    "histogram_quantile(0.9, rate(latency_seconds_bucket[8s]))",
    "sum(increase(http_requests_total[8s]))",
]

REFUSED = ["sum(", "rate(memory_used)", "1 +", "memory_used{", "no_such_function(1)", ")", ""]


class Pair:
    """Both servers, asked the same."""

    def __init__(self, real: str, standin: str) -> None:
        self.real, self.standin = real, standin

    def ask(self, query: str, **more: Any) -> tuple[Any, Any]:
        parameters = {"query": query, "time": time.time(), **more}
        return _ask(self.real, parameters), _ask(self.standin, parameters)


def _ask(url: str, parameters: dict[str, Any]) -> dict[str, Any]:
    query = urllib.parse.urlencode(parameters)
    path = "query_range" if "step" in parameters else "query"
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{query}", timeout=10) as response:
            return {"http": response.status, **json.load(response)}
    except urllib.error.HTTPError as error:
        return {"http": error.code, **json.load(error)}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    program = shutil.which("prometheus")
    assert program, "these tests need Prometheus: apt-get install prometheus"
    folder = tmp_path_factory.mktemp("prometheus")
    target, port = free_port(), free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"- {{job_name: syncwatch, honor_labels: true, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}\n"
    )
    argv = [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    real = Process([*argv, f"--web.listen-address=127.0.0.1:{port}"], folder / "log")
    loop = asyncio.new_event_loop()
    standin = StandIn({"syncwatch": target})
    runner = loop.run_until_complete(_serve(target))
    real.start().wait_for_port(port)
    loop.run_until_complete(standin.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        pair = Pair(f"http://127.0.0.1:{port}", standin.url)
        _until_scraped(pair)
        yield pair
    finally:
        asyncio.run_coroutine_threadsafe(standin.stop(), loop).result(10)
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        real.stop()


async def _serve(port: int) -> web.AppRunner:
    """Counters that grow evenly with time: 10, 20 and 1 a second."""
    began = time.time()

    async def metrics(_: web.Request) -> web.Response:
        ticks = time.time() - began
        text = METRICS.format(ok=10 * ticks, twice=20 * ticks, bad=ticks, all=30 * ticks)
        return web.Response(text=text, content_type="text/plain")

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


def _until_scraped(pair: Pair) -> None:
    """Both have scraped for as long as the longest window."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        now = time.time()
        if min(_since(server, now) for server in (pair.real, pair.standin)) >= 9:
            return
        time.sleep(0.2)
    raise AssertionError("the servers did not scrape")


def _since(server: str, now: float) -> float:
    """For how many seconds the server has known of the target, up to 12; none while it still starts."""
    try:
        answer = _ask(server, {"query": "up", "start": now - 12, "end": now, "step": 1})
    except ValueError:
        return 0.0
    series = answer["data"]["result"]
    return now - float(series[0]["values"][0][0]) if series else 0.0


def _sorted(answer: Any) -> Any:
    data = dict(answer["data"])
    if isinstance(data["result"], list) and data["resultType"] == "vector":
        rows = [{"metric": row["metric"], "value": float(row["value"][1])} for row in data["result"]]
        data["result"] = sorted(rows, key=lambda row: json.dumps(row["metric"], sort_keys=True))
    elif data["resultType"] == "scalar":
        data["result"] = float(data["result"][1])
    return json.loads(json.dumps(data))


@pytest.mark.parametrize("query", QUERIES)
def test_answers_as_prometheus_does(pair: Pair, query: str) -> None:
    real, standin = pair.ask(query)
    assert json.dumps(_sorted(standin), sort_keys=True) == json.dumps(_sorted(real), sort_keys=True)


@pytest.mark.parametrize("query", CLOSE)
def test_computes_rates_and_quantiles_as_prometheus_does(pair: Pair, query: str) -> None:
    real, standin = map(_sorted, pair.ask(query))
    assert [row["metric"] for row in standin["result"]] == [row["metric"] for row in real["result"]]
    for mine, theirs in zip(standin["result"], real["result"], strict=True):
        assert mine["value"] == pytest.approx(theirs["value"], rel=0.1)


@pytest.mark.parametrize("query", REFUSED)
def test_refuses_what_prometheus_refuses(pair: Pair, query: str) -> None:
    real, standin = pair.ask(query)
    assert (standin["http"], standin["status"], standin["errorType"]) == (400, "error", "bad_data")
    assert real["http"] == 400
    assert standin["error"]


def test_answers_ranges(pair: Pair) -> None:
    now = time.time()
    real, standin = pair.ask("memory_used > 50", start=now - 4, end=now, step=1)
    assert [row["metric"] for row in standin["data"]["result"]] == [row["metric"] for row in real["data"]["result"]]
    assert len(standin["data"]["result"][0]["values"]) == len(real["data"]["result"][0]["values"]) == 5


def test_answers_which_targets_are_up_as_prometheus_does(pair: Pair) -> None:
    def targets(url: str) -> list[tuple[str, str, str]]:
        with urllib.request.urlopen(f"{url}/api/v1/targets?state=active", timeout=10) as response:
            active = json.load(response)["data"]["activeTargets"]
        return [(target["labels"]["job"], target["labels"]["instance"], target["health"]) for target in active]

    assert targets(pair.standin) == targets(pair.real)
    assert [health for *_, health in targets(pair.standin)] == ["up"]
