"""A SQLite file belongs to one daemon, and a daemon to the file it opened."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthd.store import SqlStore
from healthd.store.base import Commit, StoreError
from tests.component.store.examples import MINUTE, T0, outcome

OWNER = """
import asyncio, sys
from healthd.store import SqlStore
async def main():
    await SqlStore(sys.argv[1], exclusive=True).open()
    print("open", flush=True)
    sys.stdin.read()
asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "healthd.db"


@pytest.fixture
def owner(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the database open as a daemon has."""
    argv = [sys.executable, "-c", OWNER, f"sqlite:///{path}"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


async def test_a_second_daemon_is_told_who_has_the_file(path: Path, owner: subprocess.Popen[str]) -> None:
    store = SqlStore(f"sqlite:///{path}", exclusive=True)
    with pytest.raises(StoreError) as caught:
        await store.open()
    assert f"{path} belongs to another healthd (process {owner.pid} on {os.uname().nodename})" in caught.value.reason
    assert caught.value.transient  # it may end
    owner.kill()  # as harshly as can be: nothing is left to clean up
    owner.wait()
    await store.open()
    await store.close()


async def test_closing_gives_the_file_to_the_next(path: Path) -> None:
    for _ in range(2):
        store = SqlStore(f"sqlite:///{path}", exclusive=True)
        await store.open()
        await store.close()


async def test_a_daemon_that_cannot_open_does_not_keep_the_file(path: Path) -> None:
    path.write_bytes(b"not a database, and long enough to be looked at" * 50)
    with pytest.raises(StoreError, match="not a SQLite database"):
        await SqlStore(f"sqlite:///{path}", exclusive=True).open()
    path.unlink()
    store = SqlStore(f"sqlite:///{path}", exclusive=True)
    await store.open()
    await store.close()


async def test_reading_along_needs_no_claim(path: Path, owner: subprocess.Popen[str]) -> None:
    store = SqlStore(f"sqlite:///{path}")
    await store.open()
    assert await store.states() == {}
    await store.close()


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_is_gone_is_noticed_instead_of_written_to(path: Path, replaced: bool) -> None:
    """Linux lets a process go on writing to a file nobody can find any more."""
    store = SqlStore(f"sqlite:///{path}", exclusive=True)
    await store.open()
    await store.commit(Commit((outcome(),)))
    away = path.with_name("away.db")
    path.rename(away)
    if replaced:
        path.touch()
    with pytest.raises(StoreError, match="was deleted, moved or replaced while healthd was running") as caught:
        await store.commit(Commit((outcome(at=T0 + MINUTE),)))
    assert caught.value.transient
    away.replace(path)  # put back
    await store.commit(Commit((outcome(at=T0 + MINUTE),)))
    assert len(await store.outcomes("shop/web")) == 2
    await store.close()
