"""Servers that stop, restart or hang between two looks; and what healthd costs and sends them."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta

import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.looking import Looker, looking, values
from tests.component.redis.watching import until
from tests.servers.redis import RedisServer


async def test_a_server_that_stops_and_comes_back(own: RedisServer, ping: Looker, length: Looker) -> None:
    assert values(await length(url=own.url, key="queue"))["length"] == 0
    own.stop()
    assert values(await ping(url=own.url)) == {"up": 0}
    with pytest.raises(ProbeError) as caught:
        await length(url=own.url, key="queue")
    assert caught.value.kind == "refused"
    own.start()
    assert values(await length(url=own.url, key="queue"))["length"] == 0
    assert values(await ping(url=own.url))["up"] == 1


@pytest.mark.probe("redis_length")
async def test_a_restart_between_two_looks_is_not_noticed(own: RedisServer, length: Looker) -> None:
    await length(url=own.url, key="queue")
    own.restart()
    assert values(await length(url=own.url, key="queue"))["length"] == 0


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        pytest.param("redis_memory", {}, marks=pytest.mark.probe_failure("redis_memory")),
        pytest.param("redis_keys", {"patterns": "session:*"}, marks=pytest.mark.probe_failure("redis_keys")),
    ],
)
async def test_what_cannot_be_asked_is_no_zero(own: RedisServer, kind: str, params: dict[str, str]) -> None:
    async with looking(PROBES[kind]) as look:
        own.stop()
        with pytest.raises(ProbeError) as caught:
            await look(url=own.url, **params)
        assert caught.value.kind == "refused"
        own.start()
        with pytest.raises(ProbeError) as caught:
            await look(url=f"redis://:wrong@127.0.0.1:{own.port}/0", **params)
        assert caught.value.kind == "auth"


async def test_a_server_that_hangs(own: RedisServer, ping: Looker, length: Looker) -> None:
    await length(url=own.url, key="queue")
    ping.timeout = length.timeout = timedelta(seconds=1)
    before = len(os.listdir("/proc/self/fd"))
    own.pause()
    try:
        started = time.monotonic()
        seen = await ping(url=own.url)
        assert values(seen) == {"up": 0}
        assert "no answer within 1s" in seen.note
        with pytest.raises(ProbeError) as caught:
            await length(url=own.url, key="queue")
        assert caught.value.kind == "timeout"
        assert time.monotonic() - started < 10
        await until(lambda: len(asyncio.all_tasks()) == 1)
        await until(lambda: len(os.listdir("/proc/self/fd")) < before)  # the idle connection is closed too
    finally:
        own.resume()
    ping.timeout = length.timeout = timedelta(seconds=5)
    assert values(await ping(url=own.url))["up"] == 1
    assert values(await length(url=own.url, key="queue"))["length"] == 0


async def test_cancelled_while_it_waits(own: RedisServer, length: Looker) -> None:
    await length(url=own.url, key="queue")
    own.pause()
    try:
        looking = asyncio.create_task(length(url=own.url, key="queue"))
        await asyncio.sleep(0)  # it has started
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        await until(lambda: len(asyncio.all_tasks()) == 1)
    finally:
        own.resume()


async def test_many_checks_share_two_connections_and_one_info(own: RedisServer, length: Looker, info: Looker) -> None:
    with own.client() as admin:
        before = admin.info("stats")["total_connections_received"]
        await asyncio.gather(*(length(url=own.url, key=f"queue:{n}") for n in range(30)))
        await asyncio.gather(*(info(url=own.url, fields=["role"]) for _ in range(30)))
        stats = admin.info("commandstats")
        assert admin.info("stats")["total_connections_received"] - before <= 3  # one of them is of the info probe
    # two by us, and one by the probes for all their thirty looks
    assert stats["cmdstat_info"]["calls"] == 2


async def test_nothing_but_reading_commands_is_sent(
    own: RedisServer, ping: Looker, length: Looker, info: Looker, memory: Looker
) -> None:
    with own.client() as admin:
        admin.rpush("list", "a")
        admin.sadd("set", "a")
        admin.zadd("zset", {"a": 1})
        admin.hset("hash", "a", "1")
        admin.xadd("stream", {"a": "1"})
        admin.xgroup_create("stream", "workers", "0")
        admin.config_resetstat()
        await ping(url=own.url)
        await length(url=own.url, keys=["list", "set", "zset", "hash", "stream", "none"])
        await length(url=own.url, key="stream", group="workers")
        await length(url=f"{own.url[:-1]}3", key="list")
        await info(url=own.url)
        await memory(url=own.url)
        sent = {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}
    reading = {"ping", "type", "llen", "scard", "zcard", "hlen", "xlen", "xpending", "info"}
    assert reading <= sent
    assert sent - reading <= {"auth", "select", "config|resetstat", "config"}  # the last is ours
    with own.client() as admin:
        assert admin.dbsize() == 5
