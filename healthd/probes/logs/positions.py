"""Where the last look ended in each file, and what rotation has made of the files since.

A file is known by device and inode and by its first bytes: renamed it goes on being the same, truncated or written
anew it does not, and a copy of what has been read is recognised.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

HEAD = 1024  # bytes a file is recognised by

Identity = tuple[int, int]  # device, inode


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file has been read; `head` is how it began then. `listed`: the glob still found it."""

    path: str
    offset: int
    head: bytes
    listed: bool = True


@dataclass(slots=True)
class Positions:
    """Of one check, for the life of the process. `at` is when the last look was; None before the first."""

    at: datetime | None = None
    places: Mapping[Identity, Place] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class LogFile:
    """An open file, as it was when it was opened."""

    path: str
    file: BinaryIO
    size: int
    identity: Identity
    head: bytes

    def continues(self, place: Place) -> bool:
        """Whether what was read up to that place is still in it, unchanged as far as one can tell."""
        return self.size >= place.offset and self.head.startswith(place.head)


@contextmanager
def opened(path: str) -> Iterator[LogFile | None]:
    """The file; None when it has gone meanwhile or is none. Raises OSError."""
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            yield None
            return
        head = os.pread(file.fileno(), HEAD, 0)
        yield LogFile(path, file, status.st_size, (status.st_dev, status.st_ino), head)


def resume(log: LogFile, places: Mapping[Identity, Place]) -> int:
    """Where to go on in a file when these places are known: 0 in one that is new or was begun anew."""
    known = places.get(log.identity)
    if known is not None:
        return known.offset if log.continues(known) else 0
    folder = Path(log.path).parent
    for identity, place in places.items():  # a copy, made to truncate the original
        if place.head and log.continues(place) and Path(place.path).parent == folder and not _intact(identity, place):
            return place.offset
    return 0


def _intact(identity: Identity, place: Place) -> bool:
    try:
        status = Path(place.path).stat()
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == identity and status.st_size >= place.offset


def renamed(places: Mapping[Identity, Place], seen: set[Identity]) -> Iterator[tuple[Identity, Place]]:
    """Files read before that the glob finds no longer, but that are still in their folder under another name."""
    folders: dict[str, list[Identity]] = {}
    for identity, place in places.items():
        if identity not in seen:
            folders.setdefault(str(Path(place.path).parent), []).append(identity)
    for folder, identities in folders.items():
        try:
            with os.scandir(folder) as entries:
                names = {entry.inode(): entry.path for entry in entries}
        except OSError:
            continue
        for identity in identities:
            if identity[1] in names:
                yield identity, replace(places[identity], path=names[identity[1]], listed=False)
