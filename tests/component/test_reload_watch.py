"""Changes of catalogue files are noticed, however they come about. Real files, real events."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from healthd.catalogue import watch
from tests.pure.catalogue_samples import write

PATIENCE = 10.0
QUIET = 1.5  # longer than the watcher takes to look again


class Watching:
    """Collects what a watcher tells."""

    def __init__(self, *folders: Path) -> None:
        self._changes = watch(folders)
        self._told: asyncio.Queue[None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._collect())

    async def _collect(self) -> None:
        async for _ in self._changes:
            self._told.put_nowait(None)

    async def told(self) -> None:
        await asyncio.wait_for(self._told.get(), PATIENCE)

    async def settled(self) -> int:
        """Everything about the last change has been told; how often."""
        for count in itertools.count():
            try:
                await asyncio.wait_for(self._told.get(), QUIET)
            except TimeoutError:
                return count
        raise AssertionError

    async def quiet(self) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self._told.get(), QUIET)

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def watching(*folders: Path) -> AsyncIterator[Watching]:
    watcher = Watching(*folders)
    await watcher.start()
    try:
        yield watcher
    finally:
        await watcher.stop()


@pytest.fixture
def checks(tmp_path: Path) -> Path:
    return write(tmp_path / "checks", {"host/system.yaml": "x-a: 1", "host/more.yaml": "x-a: 2"})


async def test_edits_new_and_deleted_files_and_systems(checks: Path) -> None:
    async with watching(checks) as watcher:
        (checks / "host/system.yaml").write_text("x-a: 3")
        await watcher.told()
        (checks / "host/new.yaml").write_text("x-a: 4")
        await watcher.told()
        (checks / "host/new.yaml").unlink()
        await watcher.told()
        write(checks, {"web/system.yaml": "x-a: 5"})
        await watcher.settled()
        (checks / "web/system.yaml").write_text("x-a: 66")
        await watcher.told()


async def test_an_editor_that_replaces_the_file(checks: Path) -> None:
    async with watching(checks / "host") as watcher:
        (checks / "host/.system.yaml.swp").write_text("x-a: 7")
        os.replace(checks / "host/.system.yaml.swp", checks / "host/system.yaml")
        await watcher.told()


async def test_a_burst_is_told_at_most_a_few_times_and_other_files_never(checks: Path) -> None:
    async with watching(checks) as watcher:
        (checks / "host/notes.txt").write_text("x")
        (checks / "host/.hidden.yaml").write_text("x")
        await watcher.quiet()
        for number in range(50):
            (checks / f"host/many-{number}.yaml").write_text("x-a: 1")
        assert 1 <= await watcher.settled() <= 3


async def test_a_change_between_the_call_and_the_first_look_counts(checks: Path) -> None:
    watcher = Watching(checks)
    (checks / "host/system.yaml").write_text("x-a: 10")
    await watcher.start()
    await watcher.told()
    await watcher.stop()


async def test_a_config_map_swap(tmp_path: Path) -> None:
    mount = write(tmp_path / "host", {"..2026_01_01/system.yaml": "x-a: 1"})
    (mount / "..data").symlink_to("..2026_01_01")
    (mount / "system.yaml").symlink_to("..data/system.yaml")
    async with watching(mount) as watcher:
        for day in ("..2026_01_02", "..2026_01_03"):
            write(mount, {f"{day}/system.yaml": "x-a: 1"})
            (mount / "..data_tmp").symlink_to(day)
            os.replace(mount / "..data_tmp", mount / "..data")
            await watcher.told()
            await watcher.settled()


async def test_a_linked_file_that_lives_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, {"elsewhere/real.yaml": "x-a: 1"})
    (tmp_path / "host").mkdir()
    (tmp_path / "host/system.yaml").symlink_to(tmp_path / "elsewhere/real.yaml")
    async with watching(tmp_path / "host") as watcher:
        (tmp_path / "elsewhere/real.yaml").write_text("x-a: 22")
        await watcher.told()


async def test_a_folder_that_vanishes_and_comes_back(checks: Path) -> None:
    async with watching(checks) as watcher:
        shutil.rmtree(checks)
        await watcher.told()
        await watcher.settled()
        write(checks, {"host/system.yaml": "x-a: 1"})
        await watcher.told()
        await watcher.settled()
        (checks / "host/system.yaml").write_text("x-a: 12")
        await watcher.told()


async def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    async with watching(tmp_path / "later") as watcher:
        write(tmp_path / "later", {"host/system.yaml": "x-a: 1"})
        await watcher.told()
