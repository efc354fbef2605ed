"""What a look leaves behind, seen from outside: sessions, sockets; and a server that is made to hang."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import psycopg

from tests.servers.postgres import PostgresServer


def sessions(url: str) -> list[int]:
    """The server processes of healthd's sessions."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'healthd'").fetchall()
    return [pid for (pid,) in found]


@contextmanager
def paused(server: PostgresServer) -> Iterator[None]:
    """Every process of the server is stopped: ports and connections stay, nothing is answered."""
    postmaster = psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))
    postmaster.suspend()  # from here on it starts no further process
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def open_sockets() -> int:
    return sum(1 for fd in os.listdir("/proc/self/fd") if _is_socket(fd))


def _is_socket(fd: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    except OSError:
        return False


async def until(true: Callable[[], bool]) -> None:
    """Wait until it holds; fails after half a minute."""
    for _ in range(1500):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not become true")
