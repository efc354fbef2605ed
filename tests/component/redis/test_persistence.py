"""The probes redis_persistence and redis_replication, on servers that write and that follow."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healthd.model.outcomes import Observation, ProbeError
from healthd.probes.base import Probe
from healthd.probes.redis import RedisPersistenceProbe, RedisReplicationProbe
from tests.component.looking import Looker, evidence, values
from tests.servers.redis import RedisServer

MakeLooker = Callable[[Probe], Looker]


@pytest.fixture
def persistence(looker: MakeLooker) -> Looker:
    return looker(RedisPersistenceProbe())


@pytest.fixture
def replication(looker: MakeLooker) -> Looker:
    return looker(RedisReplicationProbe())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A primary and its replica."""
    folder = tmp_path_factory.mktemp("pair")
    with RedisServer(folder / "a", password="one") as primary, RedisServer(folder / "b", password="two") as replica:
        with replica.client() as admin:
            admin.config_set("masterauth", "one")
            admin.replicaof("127.0.0.1", primary.port)
        yield primary, replica


async def seen_as(look: Looker, wanted: dict[str, float | str], **params: str) -> Observation:
    """The first look that shows these values."""
    for _ in range(800):
        seen = await look(**params)
        if wanted.items() <= values(seen).items():
            return seen
        await asyncio.sleep(0.01)
    raise AssertionError(f"never {wanted}: {values(seen)}")


async def test_nothing_on_disk(own: RedisServer, persistence: Looker) -> None:
    seen = await persistence(url=own.url)
    measured = values(seen)
    assert (measured["aof_enabled"], measured["rdb_enabled"], measured["loading"]) == (0, 0, 0)
    assert (measured["last_bgsave_ok"], measured["changes_since_save"]) == (1, 0)
    assert "nothing is written to disk" in seen.note
    assert not {"bgsave_duration", "aof_size_bytes"} & measured.keys()


async def test_snapshots_and_an_append_only_file(tmp_path: Path, persistence: Looker) -> None:
    args = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "3600 1000")
    with RedisServer(tmp_path, args=args) as server:
        with server.client() as admin:
            admin.set("a", "1")
            admin.save()
            admin.set("b", "2")
        seen = await persistence(url=server.url)
    measured = values(seen)
    assert (measured["aof_enabled"], measured["aof_fsync"], measured["rdb_enabled"]) == (1, "everysec", 1)
    assert (measured["aof_last_write_ok"], measured["aof_last_rewrite_ok"]) == (1, 1)
    assert float(measured["aof_size_bytes"]) > 20
    assert measured["changes_since_save"] == 1
    assert 0 <= float(measured["rdb_last_save_age"]) < 5
    assert seen.note == ""


@pytest.mark.probe("redis_persistence")
async def test_a_snapshot_that_fails(tmp_path: Path, persistence: Looker) -> None:
    with RedisServer(tmp_path / "gone", args=("--save", "3600 1000")) as server:
        with server.client() as admin:
            shutil.rmtree(tmp_path / "gone")
            admin.bgsave()
        measured = values(await seen_as(persistence, {"last_bgsave_ok": 0}, url=server.url))
        assert measured["rdb_enabled"] == 1
        server.stop(signal.SIGKILL)


async def test_a_user_who_may_not_read_the_configuration(tmp_path: Path, persistence: Looker) -> None:
    with RedisServer(tmp_path, args=("--appendonly", "yes")) as server:
        with server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "watcher", "on", ">word", "+ping", "+info", "+select")
        seen = await persistence(url=server.url.replace("//", "//watcher:word@"))
    assert (values(seen)["aof_enabled"], "aof_fsync" in values(seen)) == (1, False)
    assert seen.note == "appendfsync and save cannot be read: CONFIG GET is not allowed here (+config|get)"


@pytest.mark.probe_failure("redis_persistence")
async def test_a_user_who_may_not_read_info(own: RedisServer, persistence: Looker, replication: Looker) -> None:
    with own.client() as admin:
        admin.execute_command("ACL", "SETUSER", "stranger", "on", ">word", "+ping", "+select")
    for look in (persistence, replication):
        with pytest.raises(ProbeError) as caught:
            await look(url=own.url.replace(":open-sesame", "stranger:word"))
        assert caught.value.kind == "forbidden"
        assert "needs +info" in caught.value.reason


@pytest.mark.probe("redis_replication")
async def test_a_replica_in_step(pair: tuple[RedisServer, RedisServer], replication: Looker) -> None:
    primary, replica = pair
    seen = await seen_as(
        replication, {"online_replicas": 1, f"lag_bytes{{127.0.0.1:{replica.port}}}": 0}, url=primary.url
    )
    measured = values(seen)
    assert (measured["role"], measured["connected_replicas"]) == ("primary", 1)
    assert float(measured[f"lag_seconds{{127.0.0.1:{replica.port}}}"]) <= 1
    assert evidence(seen, "replicas").startswith(f"127.0.0.1:{replica.port}: online, behind 0B")
    assert "link_up" not in measured
    wanted: dict[str, float | str] = {"link_up": 1, "lag_bytes{own}": 0}
    there = await seen_as(replication, wanted, url=replica.url, primary=primary.url)
    measured = values(there)
    assert (measured["role"], measured["read_only"], measured["syncing"], there.note) == ("replica", 1, 0, "")
    assert (measured["link_down_seconds"], measured["connected_replicas"]) == (0, 0)
    assert "lag_bytes{own}" not in values(await replication(url=replica.url))


async def test_a_replica_that_hangs(pair: tuple[RedisServer, RedisServer], replication: Looker) -> None:
    primary, replica = pair
    await seen_as(replication, {"online_replicas": 1}, url=primary.url)
    replica.pause()
    try:
        with primary.client() as admin:
            admin.set("large", "x" * 50_000)
        name = f"{{127.0.0.1:{replica.port}}}"
        measured = values(await replication(url=primary.url))
        assert float(measured[f"lag_bytes{name}"]) > 50_000
        await seen_as(replication, {f"lag_seconds{name}": 2}, url=primary.url)
    finally:
        replica.resume()


@pytest.mark.probe_failure("redis_replication")
async def test_a_replica_without_its_primary(tmp_path: Path, replication: Looker) -> None:
    with RedisServer(tmp_path / "a") as primary, RedisServer(tmp_path / "b") as replica:
        with replica.client() as admin:
            admin.replicaof("127.0.0.1", primary.port)
        await seen_as(replication, {"link_up": 1}, url=replica.url)
        primary.stop()
        seen = await seen_as(replication, {"link_up": 0}, url=replica.url)
        assert seen.note == f"the link to 127.0.0.1:{primary.port} is down"
        await seen_as(replication, {"link_up": 0, "link_down_seconds": 1}, url=replica.url)
        with pytest.raises(ProbeError) as caught:
            await replication(url=replica.url, primary=primary.url)
        assert caught.value.kind == "refused"
