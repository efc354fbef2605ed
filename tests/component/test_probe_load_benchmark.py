"""The load_benchmark probe against a real nginx, and against servers that fail under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.base import ProbeLimits
from healthd.settings import load_settings
from tests.component.looking import Looker, evidence, looking, values
from tests.servers.nginx import NginxServer
from tests.servers.process import free_port
from tests.servers.web import web_server

SECRET = "0123456789-token"


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["load_benchmark"]) as looker:
        looker.limits = ProbeLimits(allowed_load_hosts=("127.0.0.1",))
        looker.timeout = timedelta(seconds=15)
        yield looker


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children() if "load_benchmark" in " ".join(child.cmdline())]


@pytest.mark.probe("load_benchmark")
async def test_a_benchmark(nginx: NginxServer, look: Looker) -> None:
    seen = await look(url=f"{nginx.url}/", requests=500, concurrency=20)
    measured = {name: float(value) for name, value in values(seen).items()}
    assert (measured["completed"], measured["failures"], measured["failure_ratio"]) == (500, 0, 0)
    assert 0 < measured["p50"] <= measured["p95"] <= measured["p99"] <= measured["max"] <= measured["duration"]
    assert measured["rate"] == pytest.approx(500 / measured["duration"])
    assert measured["rate"] > 50
    assert measured["throughput"] * measured["duration"] == pytest.approx(
        500 * len("<html><body>hello</body></html>\n")
    )
    assert (seen.note, seen.evidence) == ("", ())
    assert not children()


async def test_tls(nginx: NginxServer, look: Looker) -> None:
    ask: dict[str, Any] = {"url": nginx.tls_url, "requests": 20, "concurrency": 4}
    look.limits = ProbeLimits(allowed_load_hosts=("localhost", "127.0.0.1"))
    seen = await look(**ask, tls={"ca_file": nginx.ca_file})
    assert values(seen)["failures"] == 0
    seen = await look(**ask)
    assert values(seen)["failures"] == 20
    assert "TLS: certificate" in evidence(seen, "failures")
    with pytest.raises(ProbeError, match="ca_file") as failure:
        await look(**ask, tls={"ca_file": "/none.pem"})
    assert failure.value.kind == "config"


async def test_failures_are_counted_by_reason(look: Looker) -> None:
    asked = 0

    async def sometimes(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        assert request.headers["Authorization"] == f"Bearer {SECRET}"
        return web.Response(status=503 if asked % 5 == 0 else 200, text=SECRET)

    async with web_server({"GET /": sometimes}) as url:
        seen = await look(url=url, requests=50, concurrency=5, auth={"bearer": SECRET})
    assert asked == 50
    assert (values(seen)["failures"], values(seen)["failure_ratio"]) == (10, 0.2)
    assert seen.note == "10 of 50 failed: status 503"
    assert evidence(seen, "failures") == "10 times: status 503"
    seen = await look(url=f"http://127.0.0.1:{free_port()}", requests=5)
    assert seen.note == "5 of 5 failed: connection refused"
    assert "mean" not in values(seen)


async def test_never_more_at_once_than_asked_for_nor_faster(look: Looker) -> None:
    now = most = 0

    async def count(request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.Response()

    async with web_server({"GET /": count}) as url:
        await look(url=url, requests=40, concurrency=7)
        assert most == 7
        seen = values(await look(url=url, requests=20, concurrency=5, rate=40))
    assert 0.45 < float(seen["duration"]) < 10


@pytest.mark.probe_failure("load_benchmark")
async def test_the_time_ends_it(look: Looker) -> None:
    gone = 0

    async def slow(request: web.Request) -> web.Response:
        nonlocal gone
        gone += 1
        await asyncio.sleep(0 if gone < 5 else 60)
        return web.Response()

    look.timeout = timedelta(seconds=4)
    async with web_server({"GET /": slow}) as url:
        seen = await look(url=url, requests=1000, concurrency=2)
        assert values(seen)["completed"] == 4
        assert seen.note == "4 of 1000 requests were made in the time there was"
        look.timeout = timedelta(seconds=2)
        with pytest.raises(ProbeError, match="must be above 3s"):
            await look(url=url)


async def test_a_cancelled_benchmark_leaves_no_process(look: Looker) -> None:
    asked = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    async with web_server({"GET /": hang}) as url:
        task = asyncio.create_task(look(url=url))
        await asyncio.wait_for(asked.wait(), 10)
        assert len(children()) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not children()


@pytest.mark.parametrize("allowed", [(), ("example.com",), ("127.0.0.1:1",), ("27.0.0.1",)])
async def test_only_hosts_the_settings_name(look: Looker, allowed: tuple[str, ...]) -> None:
    look.limits = ProbeLimits(allowed_load_hosts=allowed)
    with pytest.raises(ProbeError, match="HEALTHD_ALLOWED_LOAD_HOSTS") as failure:
        await look(url="http://127.0.0.1:8080/", requests=1)
    assert failure.value.kind == "forbidden"


async def test_a_redirect_does_not_lead_to_others(look: Looker) -> None:
    async def moved(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://example.com/"})

    async with web_server({"GET /": moved}) as url:
        seen = await look(url=url, requests=3, concurrency=1)
    assert seen.note == "3 of 3 failed: status 302"


def test_the_setting(tmp_path: Path) -> None:
    settings = load_settings({"HEALTHD_ALLOWED_LOAD_HOSTS": "staging.example.com, [::1]:8080,10.0.0.1:80"})
    assert settings.allowed_load_hosts == ("staging.example.com", "[::1]:8080", "10.0.0.1:80")


@pytest.mark.parametrize(
    "params",
    [{"requests": 100_001}, {"concurrency": 201}, {"rate": 6000}, {"rate": 0}, {"method": "POST"}, {"url": "x"}],
)
def test_caps_and_mistakes_are_found_at_loading(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PROBES["load_benchmark"].Params(**{"url": "http://h", **params})
