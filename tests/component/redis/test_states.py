"""Servers that answer, but not what was asked."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest
import redis

from healthd.model.outcomes import ProbeError
from tests.component.looking import Looker, values
from tests.component.redis.watching import down
from tests.servers.process import free_port
from tests.servers.redis import RedisServer


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
    # its second port would else be ten thousand higher, where clients' ports are
    clustered = RedisServer(tmp_path, args=("--cluster-enabled", "yes", "--cluster-port", str(free_port())))
    with clustered as server, pytest.raises(ProbeError, match="cluster") as caught:
        await length(url=server.url, key="queue")
    assert caught.value.kind == "config"
