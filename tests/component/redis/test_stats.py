"""The probes redis_stats, redis_slowlog and redis_latency."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes.redis import RedisLatencyProbe, RedisSlowlogProbe, RedisStatsProbe
from tests.component.looking import Looker, evidence, values
from tests.component.redis.test_persistence import MakeLooker
from tests.servers.redis import RedisServer


@pytest.fixture
def stats(looker: MakeLooker) -> Looker:
    return looker(RedisStatsProbe())


@pytest.fixture
def slowlog(looker: MakeLooker) -> Looker:
    return looker(RedisSlowlogProbe())


@pytest.fixture
def latency(looker: MakeLooker) -> Looker:
    return looker(RedisLatencyProbe())


async def test_since_the_start(own: RedisServer, stats: Looker) -> None:
    with own.client() as admin:
        admin.set("a", "1")
        for key in ("a", "a", "a", "none"):
            admin.get(key)
        admin.set("b", "1", px=1)
        with pytest.raises(Exception, match="WRONGTYPE"):
            admin.llen("a")
        measured = values(await stats(url=own.url))
    assert (measured["hits"], measured["misses"], measured["hit_ratio"]) == (4, 1, 0.8)  # LLEN looked it up, too
    assert (measured["evicted_keys"], measured["rejected_connections"]) == (0, 0)
    assert (measured["max_clients"], measured["blocked_clients"]) == (10_000, 0)
    assert measured["clients_ratio"] == float(measured["connected_clients"]) / 10_000
    assert float(measured["errors"]) >= 1
    assert float(measured["keys"]) in (1, 2)


@pytest.mark.probe("redis_stats")
async def test_a_server_nobody_has_asked(own: RedisServer, stats: Looker) -> None:
    measured = values(await stats(url=own.url))
    assert "hit_ratio" not in measured
    assert measured["keys"] == 0


async def test_only_what_happens_between_two_looks(tmp_path: Path, stats: Looker) -> None:
    limit = ("--maxmemory", "3000000", "--maxmemory-policy", "allkeys-lru")
    with RedisServer(tmp_path, args=limit) as server, server.client() as admin:
        admin.set("a", "1")
        for _ in range(50):
            admin.get("a")
        looking = asyncio.create_task(stats(url=server.url, sample="500ms"))

        def work() -> None:
            for n in range(60):
                admin.set(f"key:{n}", "x" * 100_000)
            while not looking.done():
                admin.get("none")

        await asyncio.gather(looking, asyncio.to_thread(work))
        measured = values(looking.result())
    assert measured["hit_ratio"] == 0
    assert float(measured["misses"]) > 10
    assert float(measured["evicted_keys"]) > 10
    rate = float(measured["evicted_keys"]) / float(measured["evicted_keys_per_second"])
    assert 0.45 < rate < 5


async def test_counters_that_begin_anew_in_between(own: RedisServer, stats: Looker) -> None:
    with own.client() as admin:
        for _ in range(100):
            admin.get("none")
        looking = asyncio.create_task(stats(url=own.url, sample="200ms"))
        await asyncio.sleep(0.1)
        admin.config_resetstat()
        admin.get("none")
        assert values(await looking)["misses"] == 1


@pytest.mark.probe_failure("redis_stats")
async def test_a_sample_longer_than_the_timeout(own: RedisServer, stats: Looker) -> None:
    with pytest.raises(ProbeError, match="needs a timeout of") as caught:
        await stats(url=own.url, sample="10s")
    assert caught.value.kind == "config"
    with pytest.raises(ValidationError, match="between 100ms and 10m"):
        await stats(url=own.url, sample="1ms")


async def test_slow_commands(own: RedisServer, slowlog: Looker) -> None:
    with own.client() as admin:
        admin.config_set("slowlog-log-slower-than", 20_000)
        assert values(await slowlog(url=own.url))["entries"] == 0
        admin.client_setname("worker")
        admin.eval(
            "local t = redis.call('TIME'); repeat local n = redis.call('TIME') "
            "until (n[1] - t[1]) * 1e6 + n[2] - t[2] > 40000",
            1,
            "user:4711:secret",
        )
        seen = await slowlog(url=own.url)
        measured = values(seen)
        assert (measured["entries"], measured["length"], measured["threshold"]) == (1, 1, 0.02)
        assert 0.04 <= float(measured["slowest"]) < 2
        assert 0 <= float(measured["newest_age"]) < 10
        assert measured["entries_per_second"] == pytest.approx(1 / 3600)
        shown = evidence(seen, "slowest commands")
        assert "EVAL (3 arguments) from 127.0.0.1:" in shown
        assert shown.endswith("worker")
        assert "4711" not in shown
        assert values(await slowlog(url=own.url, slow="10s"))["entries"] == 0
        keys = evidence(await slowlog(url=own.url, show_keys=True), "slowest commands")
        assert "EVAL local t = redis.call" in keys


@pytest.mark.probe("redis_slowlog")
async def test_a_slow_log_that_is_full_or_off(own: RedisServer, slowlog: Looker) -> None:
    with own.client() as admin:
        admin.config_set("slowlog-log-slower-than", 0)
        for n in range(30):
            admin.set("key", n)
        seen = await slowlog(url=own.url, read=10)
        assert values(seen)["entries"] == 10
        assert "there may have been more" in seen.note
        admin.config_set("slowlog-log-slower-than", -1)
        seen = await slowlog(url=own.url)
        assert "logs no slow commands" in seen.note
        assert "threshold" not in values(seen)


@pytest.mark.probe("redis_latency")
async def test_round_trips(redis_server: RedisServer, latency: Looker) -> None:
    seen = await latency(url=redis_server.url, pings=50)
    measured = values(seen)
    assert (measured["pings"], seen.note) == (50, "")
    ordered = [float(measured[name]) for name in ("min", "p50", "p95", "p99", "max")]
    assert ordered == sorted(ordered)
    assert 0 < ordered[0] < 0.05
    assert ordered[0] <= float(measured["mean"]) <= ordered[-1]


async def test_round_trips_of_a_slow_server(own: RedisServer, latency: Looker) -> None:
    """Every answer takes 20 ms: the budget ends the look, and what was measured is told."""

    async def pausing() -> None:
        while True:
            own.pause()
            await asyncio.sleep(0.02)
            own.resume()
            await asyncio.sleep(0)

    slowing = asyncio.create_task(pausing())
    try:
        started = time.monotonic()
        seen = await latency(url=own.url, pings=2000, budget="300ms")
        assert time.monotonic() - started < 20  # all of them would take 40 s
    finally:
        slowing.cancel()
        await asyncio.gather(slowing, return_exceptions=True)
        own.resume()
    measured = values(seen)
    assert 1 <= float(measured["pings"]) < 2000
    assert float(measured["max"]) > 0.01
    assert "the time for them was over" in seen.note


@pytest.mark.probe_failure("redis_slowlog", "redis_latency")
async def test_a_server_that_hangs(own: RedisServer, latency: Looker, stats: Looker, slowlog: Looker) -> None:
    own.pause()
    try:
        for look in (latency, stats, slowlog):
            look.timeout = timedelta(seconds=0.3)
            with pytest.raises(ProbeError) as caught:
                await look(url=own.url)
            assert caught.value.kind == "timeout"
    finally:
        own.resume()
