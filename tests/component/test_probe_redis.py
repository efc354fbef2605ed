"""The Redis probes against real servers: what they measure, how they fail, and that they only read."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import trustme
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.model.units import Unit
from healthd.probes.redis import RedisInfoProbe, RedisLengthProbe, RedisMemoryProbe, RedisProbe
from tests.component.looking import Looker, looking, values
from tests.servers import odd
from tests.servers.process import free_port
from tests.servers.redis import RedisServer


@pytest.fixture
async def ping() -> AsyncIterator[Looker]:
    async with looking(RedisProbe()) as looker:
        yield looker


@pytest.fixture
async def length() -> AsyncIterator[Looker]:
    async with looking(RedisLengthProbe()) as looker:
        yield looker


@pytest.fixture
async def info() -> AsyncIterator[Looker]:
    async with looking(RedisInfoProbe()) as looker:
        yield looker


@pytest.fixture
async def memory() -> AsyncIterator[Looker]:
    async with looking(RedisMemoryProbe()) as looker:
        yield looker


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, to stop, pause and fill up."""
    with RedisServer(tmp_path / "redis", password="open-sesame") as server:
        yield server


async def until(true: Callable[[], bool]) -> None:
    for _ in range(300):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not become true")


async def down(ping: Looker, url: str, words: str) -> None:
    """The server is seen as down for a reason that holds `words`, at the latest after a moment."""
    for _ in range(300):
        seen = await ping(url=url)
        if values(seen)["up"] == 0 and words in seen.note:
            assert values(seen) == {"up": 0}
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never down because of {words!r}; last note: {seen.note!r}")


# -- redis: is it there


async def test_a_running_server(redis_server: RedisServer, ping: Looker) -> None:
    seen = await ping(url=redis_server.url)
    measured = values(seen)
    assert (measured["up"], measured["role"], seen.note) == (1, "master", "")
    assert 0 < float(measured["latency"]) < float(measured["connect_time"]) < 5
    assert str(measured["version"]).count(".") == 2
    assert float(measured["uptime"]) >= 0


async def test_refused(ping: Looker) -> None:
    port = free_port()
    seen = await ping(url=f"redis://app:s3cret@127.0.0.1:{port}/0")
    assert values(seen) == {"up": 0}
    assert seen.note == f"connection refused (app@127.0.0.1:{port})"


async def test_unknown_host(ping: Looker) -> None:
    seen = await ping(url="redis://:s3cret@cache.invalid:6379/0")
    assert values(seen) == {"up": 0}
    assert "cache.invalid" in seen.note
    assert "s3cret" not in seen.note


@pytest.mark.parametrize(
    ("login", "says"),
    [(":wrong-one@", "invalid username-password"), ("bob:wrong-one@", "invalid"), ("", "Authentication required")],
)
async def test_a_wrong_password(own: RedisServer, ping: Looker, length: Looker, login: str, says: str) -> None:
    url = own.url.replace(":open-sesame@", login)
    for look in (lambda: ping(url=url), lambda: length(url=url, key="queue")):
        with pytest.raises(ProbeError, match=says) as caught:
            await look()
        assert caught.value.kind == "auth"
        assert str(own.port) in caught.value.reason
        assert "wrong-one" not in caught.value.reason


async def test_a_password_for_a_server_without(tmp_path: Path, ping: Looker) -> None:
    with RedisServer(tmp_path) as server, pytest.raises(ProbeError, match="without any password") as caught:
        await ping(url=server.url.replace("redis://", "redis://:unneeded@"))
    assert caught.value.kind == "auth"


async def test_a_user_who_may_do_little(own: RedisServer, ping: Looker, length: Looker) -> None:
    with own.client() as admin:
        admin.execute_command("ACL", "SETUSER", "watcher", "on", ">word", "~*", "+ping", "+type", "+llen")
        admin.rpush("queue", "a")
    url = own.url.replace(":open-sesame@", "watcher:word@")
    seen = await ping(url=url)
    assert values(seen)["up"] == 1
    assert "no INFO: this user may not ask that" in seen.note
    assert values(await length(url=url, key="queue"))["length"] == 1
    with own.client() as admin:
        admin.execute_command("ACL", "SETUSER", "watcher", "-llen")
    with pytest.raises(ProbeError, match="llen") as caught:
        await length(url=url, key="queue")
    assert caught.value.kind == "forbidden"


async def test_all_clients_are_taken(tmp_path: Path, ping: Looker) -> None:
    with RedisServer(tmp_path, args=("--maxclients", "3")) as server:
        taken = [server.client() for _ in range(3)]
        for client in taken:
            client.ping()
        await down(ping, server.url, "maximum number of clients")
        for client in taken:
            client.close()
        for _ in range(300):
            if values(await ping(url=server.url))["up"] == 1:
                return
        raise AssertionError("not seen up again")


async def shouts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("handler", "says"), [(shouts, "not Redis"), (odd.closes, "closed the connection"), (odd.resets, "connection")]
)
async def test_something_else_answers(handler: odd.Handler, says: str, ping: Looker) -> None:
    async with odd.serving(handler) as server:
        seen = await ping(url=f"redis://:s3cret@127.0.0.1:{server.port}/0")
    assert values(seen) == {"up": 0}
    assert says in seen.note
    assert "s3cret" not in seen.note


async def test_a_listener_that_never_answers(ping: Looker) -> None:
    ping.timeout = timedelta(seconds=0.6)
    async with odd.serving(odd.silent) as server:
        started = time.monotonic()
        seen = await ping(url=f"redis://127.0.0.1:{server.port}/0")
        assert time.monotonic() - started < 0.6
    assert values(seen) == {"up": 0}
    assert "no answer within 600ms" in seen.note


async def test_tls(redis_server: RedisServer, ping: Looker, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", redis_server.port)
        try:
            await asyncio.gather(_pass(reader, there_writer), _pass(there_reader, writer))
        finally:
            there_writer.close()

    async with odd.serving(relay, context) as server:
        url = f"rediss://:{redis_server.password}@127.0.0.1:{server.port}/0"
        for _ in range(2):
            assert values(await ping(url=f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}"))["up"] == 1
        with pytest.raises(ProbeError, match="TLS: certificate") as caught:
            await ping(url=url)
        assert caught.value.kind == "auth"
    ping.timeout = timedelta(seconds=0.5)  # a server without TLS waits for the end of the greeting
    assert values(await ping(url=redis_server.url.replace("redis://", "rediss://"))) == {"up": 0}


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


# -- a server that answers, but not to us


async def test_a_server_that_loads_its_data(tmp_path: Path, ping: Looker, length: Looker) -> None:
    slow = ("--key-load-delay", "20000")  # microseconds; it looks after its clients every 2 MB
    with RedisServer(tmp_path / "a") as master, RedisServer(tmp_path / "b", args=slow) as replica:
        with master.client() as client:
            client.mset({f"key:{n}": os.urandom(100_000) for n in range(80)})
        with replica.client() as client:
            client.replicaof("127.0.0.1", master.port)
        await down(ping, replica.url, "loading its data set")
        with pytest.raises(ProbeError) as caught:
            await length(url=replica.url, key="queue")
        assert caught.value.kind == "loading"


async def test_a_replica_without_its_master(tmp_path: Path, length: Looker) -> None:
    with RedisServer(tmp_path, args=("--replica-serve-stale-data", "no")) as replica:
        with replica.client() as client:
            client.replicaof("127.0.0.1", free_port())
        with pytest.raises(ProbeError, match="lost its master") as caught:
            await length(url=replica.url, key="queue")
    assert caught.value.kind == "masterdown"


async def test_a_server_busy_with_a_script(tmp_path: Path, ping: Looker) -> None:
    with RedisServer(tmp_path, args=("--lua-time-limit", "50")) as server, server.client() as client:
        running = asyncio.create_task(asyncio.to_thread(client.eval, "while true do end", 0))
        try:
            await down(ping, server.url, "busy with a script")
        finally:
            with server.client() as other:
                other.script_kill()
            with pytest.raises(redis.ResponseError):
                await running
        assert values(await ping(url=server.url))["up"] == 1


async def test_a_server_that_cannot_save(tmp_path: Path, ping: Looker) -> None:
    with RedisServer(tmp_path / "gone") as server:
        with server.client() as client:
            client.config_set("save", "3600 1")
            shutil.rmtree(tmp_path / "gone")
            client.bgsave()
        await down(ping, server.url, "cannot write its data to disk")
        server.stop(signal.SIGKILL)  # asked to end, it would insist on saving first


async def test_a_cluster_node_that_does_not_serve_the_key(tmp_path: Path, length: Looker) -> None:
    clustered = RedisServer(tmp_path, args=("--cluster-enabled", "yes"))
    with clustered as server, pytest.raises(ProbeError, match="cluster") as caught:
        await length(url=server.url, key="queue")
    assert caught.value.kind == "config"


# -- faults over time


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


async def test_a_restart_between_two_looks_is_not_noticed(own: RedisServer, length: Looker) -> None:
    await length(url=own.url, key="queue")
    own.restart()
    assert values(await length(url=own.url, key="queue"))["length"] == 0


async def test_a_server_that_hangs(own: RedisServer, ping: Looker, length: Looker) -> None:
    await length(url=own.url, key="queue")
    ping.timeout = length.timeout = timedelta(seconds=0.6)
    before = len(os.listdir("/proc/self/fd"))
    own.pause()
    try:
        started = time.monotonic()
        seen = await ping(url=own.url)
        assert values(seen) == {"up": 0}
        assert "no answer within 600ms" in seen.note
        with pytest.raises(ProbeError) as caught:
            await length(url=own.url, key="queue")
        assert caught.value.kind == "timeout"
        assert time.monotonic() - started < 1.2
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


# -- redis_length


async def test_every_type_is_counted(redis_server: RedisServer, length: Looker) -> None:
    with redis_server.client() as client:
        client.delete("t:list", "t:set", "t:zset", "t:hash", "t:stream")
        client.rpush("t:list", *"abc")
        client.sadd("t:set", *"abcd")
        client.zadd("t:zset", {"a": 1, "b": 2})
        client.hset("t:hash", mapping={"a": "1"})
        for n in range(5):
            client.xadd("t:stream", {"n": n})
    for key, expected in (("list", 3), ("set", 4), ("zset", 2), ("hash", 1), ("stream", 5)):
        assert values(await length(url=redis_server.url, key=f"t:{key}")) == {"length": expected, "exists": 1}


async def test_several_keys_are_series(redis_server: RedisServer, length: Looker) -> None:
    with redis_server.client() as client:
        client.delete("q:high", "q:low")
        client.rpush("q:high", *"ab")
    listed = await length(url=redis_server.url, keys=["q:high", "q:low"])
    assert values(listed) == {
        "length{q:high}": 2, "exists{q:high}": 1, "length{q:low}": 0, "exists{q:low}": 0, "total": 2,
    }  # fmt: skip
    named = await length(url=redis_server.url, keys={"high": "q:high"})
    assert values(named) == {"length{high}": 2, "exists{high}": 1, "total": 2}


async def test_a_key_that_is_not_there(redis_server: RedisServer, length: Looker) -> None:
    assert values(await length(url=redis_server.url, key="nowhere")) == {"length": 0, "exists": 0}
    with pytest.raises(ProbeError, match="no key 'nowhere'") as caught:
        await length(url=redis_server.url, key="nowhere", missing_key="unknown")
    assert caught.value.kind == "missing"


async def test_a_string_has_no_length(redis_server: RedisServer, length: Looker) -> None:
    with redis_server.client() as client:
        client.set("t:string", "word")
    with pytest.raises(ProbeError, match="'t:string' is a string, which has no length"):
        await length(url=redis_server.url, key="t:string")


async def test_what_a_consumer_group_has_not_acknowledged(redis_server: RedisServer, length: Looker) -> None:
    with redis_server.client() as client:
        client.delete("t:jobs", "t:list2")
        for n in range(4):
            client.xadd("t:jobs", {"n": n})
        client.xgroup_create("t:jobs", "workers", "0")
        client.xreadgroup("workers", "one", {"t:jobs": ">"}, count=3)
        client.rpush("t:list2", "a")
    seen = values(await length(url=redis_server.url, key="t:jobs", group="workers"))
    assert seen == {"length": 4, "exists": 1, "pending": 3}
    with pytest.raises(ProbeError, match="no such consumer group") as caught:
        await length(url=redis_server.url, key="t:jobs", group="workerz")
    assert caught.value.kind == "missing"
    with pytest.raises(ProbeError, match="only a stream has consumer groups"):
        await length(url=redis_server.url, key="t:list2", group="workers")


# -- redis_info


async def test_the_usual_fields(redis_server: RedisServer, info: Looker) -> None:
    seen = await info(url=redis_server.url)
    units = {m.name: m.unit for m in seen.measurements}
    assert (values(seen)["role"], values(seen)["rdb_last_bgsave_status"]) == ("master", "ok")
    assert (units["used_memory"], units["uptime_in_seconds"], units["role"]) == (Unit.BYTES, Unit.SECONDS, Unit.TEXT)
    assert seen.note == ""


async def test_chosen_fields_with_names_and_units(own: RedisServer, info: Looker) -> None:
    with own.client() as client:
        client.set("a", "1", ex=1000)
        client.get("a")
        client.get("a")
        client.get("a")
        client.get("b")
    fields = {
        "keys": "db0.keys",
        "empty": "db7.keys",
        "fork": "latest_fork_usec",
        "peak": "used_memory_peak_perc",
        "hits": "hit_ratio",
        "up": {"field": "uptime_in_days", "unit": "days"},
        "human": "used_memory_human",
    }
    seen = await info(url=own.url, fields=fields)
    measured = values(seen)
    assert (measured["keys"], measured["empty"], measured["hits"], measured["up"]) == (1, 0, 0.75, 0)
    assert 0 < float(measured["peak"]) <= 1.2
    assert str(measured["human"]).endswith("M") or str(measured["human"]).endswith("K")
    assert {m.name: m.unit for m in seen.measurements}["fork"] is Unit.SECONDS


async def test_a_field_that_is_not_there(own: RedisServer, info: Looker) -> None:
    seen = await info(url=own.url, fields=["connected_client", "hit_ratio", "role"])
    assert values(seen) == {"role": "master"}
    assert "did you mean 'connected_clients'?" in seen.note
    assert "no look-ups yet" in seen.note


async def test_another_section(own: RedisServer, info: Looker) -> None:
    seen = await info(url=own.url, section="commandstats", fields={"pings": "cmdstat_ping.calls"})
    assert float(values(seen)["pings"]) >= 1


# -- redis_memory


async def test_memory_against_its_limit(tmp_path: Path, memory: Looker) -> None:
    limit = ("--maxmemory", "3000000", "--maxmemory-policy", "allkeys-lru")
    with RedisServer(tmp_path, args=limit) as server:
        with server.client() as client:
            for n in range(60):
                client.set(f"key:{n}", "x" * 100_000)
        measured = values(await memory(url=server.url))
    assert (measured["max_bytes"], measured["policy"]) == (3_000_000, "allkeys-lru")
    assert measured["ratio"] == pytest.approx(float(measured["used_bytes"]) / 3_000_000)
    assert float(measured["evicted_keys"]) > 0
    assert float(measured["peak_bytes"]) >= float(measured["used_bytes"]) > 1_000_000
    assert float(measured["fragmentation"]) > 0


async def test_memory_without_a_limit(redis_server: RedisServer, memory: Looker) -> None:
    system = values(await memory(url=redis_server.url))
    assert float(system["max_bytes"]) > 1e8
    assert 0 < float(system["ratio"]) < 0.5
    seen = await memory(url=redis_server.url, without_maxmemory="missing")
    assert not {"max_bytes", "ratio"} & values(seen).keys()
    assert "maxmemory is not set" in seen.note


# -- parameters


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("http://:secretword@cache:6379", "not a Redis URL"),
        ("redis://:secretword@cache:port/0", "not a Redis URL"),
        ("redis://:secret/word@cache:6379/0", "not a Redis URL"),
        ("redis://:secretword@cache:6379/zero", "is a number"),
        ("redis://:secretword@cache:6379/0?ssl_ca_cert=x", "unknown option 'ssl_ca_cert'"),
    ],
)
async def test_a_wrong_url_is_refused_without_showing_it(url: str, says: str, ping: Looker) -> None:
    with pytest.raises(ValidationError) as caught:
        await ping(url=url)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_url_shared_with_other_clients(redis_server: RedisServer, ping: Looker) -> None:
    assert values(await ping(url=f"{redis_server.url}?family=4&protocol=3&max_connections=50"))["up"] == 1


async def test_key_or_keys(length: Looker) -> None:
    for wrong in ({}, {"key": "a", "keys": ["b"]}, {"keys": []}):
        with pytest.raises(ValidationError, match="either key"):
            await length(url="redis://cache", **wrong)
