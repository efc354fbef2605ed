"""Telling that catalogue files changed, whatever way: edits, new and deleted files, a swapped ConfigMap link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from healthd.catalogue.folders import yaml_files

# Events come at once; looking again now and then finds what no event tells of: linked files elsewhere, network file
# systems, a folder that vanished and came back.
_TICK = 1.0
_SETTLE_MS, _LONGEST_MS = 100, 1000

_Mark = tuple[str, str, int, int, int]


def watch(folders: Sequence[str | Path]) -> AsyncIterator[None]:
    """Yields once after each change of the catalogue files in `folders`, when it has settled.

    Changes count from this call on. A folder may be missing, vanish and come back. Ends only by being closed.
    """
    paths = [Path(folder) for folder in folders]
    return _changes(paths, _snapshot(paths))


async def _changes(paths: list[Path], seen: frozenset[_Mark]) -> AsyncIterator[None]:
    while True:
        roots = _roots(paths)
        try:
            async for _ in _events(roots):
                now = await asyncio.to_thread(_snapshot, paths)
                if now != seen:
                    seen = now
                    yield
                if _roots(paths) != roots:
                    break
        except OSError:  # a folder went away in between, or the system has no watches left: look now and then
            await asyncio.sleep(_TICK)
        now = await asyncio.to_thread(_snapshot, paths)
        if now != seen:
            seen = now
            yield


async def _events(roots: frozenset[tuple[str, int]]) -> AsyncIterator[None]:
    """An item after every burst of events, and one every now and then."""
    if not roots:
        await asyncio.sleep(_TICK)
        yield
        return
    from watchfiles import awatch

    async for _ in awatch(
        *(path for path, _ in roots),
        watch_filter=None,
        step=_SETTLE_MS,
        debounce=_LONGEST_MS,
        rust_timeout=int(_TICK * 1000),
        yield_on_timeout=True,
        recursive=True,
    ):
        yield


def _roots(paths: list[Path]) -> frozenset[tuple[str, int]]:
    """The folders that exist, by identity: one that was deleted and made anew needs a new watch."""
    found = set()
    for path in paths:
        try:
            found.add((str(path), path.stat().st_ino))
        except OSError:
            continue
    return frozenset(found)


def _snapshot(paths: list[Path]) -> frozenset[_Mark]:
    """Every catalogue file in the folders and one level below: where it really is, and when it was changed."""
    marks = set()
    for path in paths:
        for folder in (path, *_subfolders(path)):
            marks |= _marks(folder)
    return frozenset(marks)


def _subfolders(path: Path) -> list[Path]:
    try:
        return [child for child in path.iterdir() if not child.name.startswith(".") and child.is_dir()]
    except OSError:
        return []


def _marks(folder: Path) -> set[_Mark]:
    marks = set()
    try:
        for file in yaml_files(folder):
            status = file.stat()
            marks.add((str(file), str(file.resolve()), status.st_mtime_ns, status.st_size, status.st_ino))
    except OSError:
        pass  # vanished while looked at: the next look tells
    return marks
