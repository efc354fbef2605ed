"""Finding files without following loops of links or opening anything, within a limit of names."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from healthd.probes.blocking import Stop
from healthd.probes.files.pattern import Pattern, Segment

# the file or folder ended, or never was one: a fact about a moving target, not a failure
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})


class SearchError(Exception):
    """The search cannot give a true answer. `kind` as in ProbeError."""

    def __init__(self, reason: str, kind: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file: path, size in bytes (holes included), time of last change (seconds since 1970)."""

    path: str
    size: int
    changed: float


@dataclass(slots=True)
class Search:
    """One walk. `limit` bounds the names looked at; `skip_unreadable` leaves out folders that may not be read."""

    stop: Stop
    limit: int
    skip_unreadable: bool
    looked_at: int = 0
    unreadable: list[str] = field(default_factory=list)
    broken: int = 0

    def files(self, pattern: Pattern) -> Iterator[Found]:
        """Every regular file (or link to one) that fits, once. Raises SearchError."""
        _require_folder(pattern)
        for path in self._below(pattern.base, pattern.rest):
            found = self._stat(path)
            if found is not None:
                yield found

    def _below(self, folder: str, rest: tuple[Segment, ...]) -> Iterator[str]:
        head, *tail = rest
        if head.recursive:
            yield from self._recursive(folder, tuple(tail))
        elif head.literal:
            path = os.path.join(folder, head.text)  # noqa: PTH118 - Path is slow over 100,000 names
            yield from self._below(path, tuple(tail)) if tail else (path,)
        else:
            for entry in self._entries(folder):
                if head.fits(entry.name):
                    if not tail:
                        yield entry.path
                    elif _is_folder(entry, follow=True):
                        yield from self._below(entry.path, tuple(tail))

    def _recursive(self, top: str, rest: tuple[Segment, ...]) -> Iterator[str]:
        """`rest` in the folder and in all folders below; a plain ** at the end means every file."""
        while rest and rest[0].recursive:  # ** twice in a row is ** once, and must not find files twice
            rest = rest[1:]
        rest = rest or (Segment("*", literal=False, fixed=False),)
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            yield from self._below(folder, rest)
            waiting += [e.path for e in self._entries(folder) if _is_folder(e, follow=False) and e.name[0] != "."]

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._count(folder)
                    yield entry
        except OSError as error:
            if error.errno not in _GONE:
                self._refuse(folder, error)

    def _refuse(self, path: str, error: OSError) -> None:
        if not isinstance(error, PermissionError):
            raise SearchError(f"cannot look into {path}: {error.strerror}", "missing") from None
        if not self.skip_unreadable:
            raise SearchError(
                f"cannot look into {path}: {error.strerror}; to leave out what healthd may not see write"
                " unreadable: skip",
                "forbidden",
            ) from None
        self.unreadable.append(path)

    def _count(self, folder: str) -> None:
        self.looked_at += 1
        if self.looked_at > self.limit:
            raise SearchError(
                f"more than {self.limit} names to look at, stopped in {folder}: narrow the glob or raise max_names",
                "limit",
            )
        if self.stop.is_set():
            raise SearchError("stopped", "timeout")

    def _stat(self, path: str) -> Found | None:
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError as error:
            if error.errno in _GONE:
                self.broken += error.errno == errno.ELOOP or os.path.islink(path)  # noqa: PTH114
                return None
            self._refuse(path, error)
            return None
        return Found(path, status.st_size, status.st_mtime) if stat.S_ISREG(status.st_mode) else None


def _is_folder(entry: os.DirEntry[str], *, follow: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError:  # a loop of links
        return False


def _require_folder(pattern: Pattern) -> None:
    """The folder before the first wildcard or date has to be there: else a wrong path would look like no files."""
    try:
        if pattern.rest[0].literal and os.path.isdir(pattern.base):  # noqa: PTH112 - the right to list is not needed
            return
        os.scandir(pattern.base).close()
    except OSError as error:
        kind = "forbidden" if isinstance(error, PermissionError) else "missing"
        raise SearchError(f"cannot look into {pattern.base}: {error.strerror}", kind) from None


def each_once(files: Iterator[Found], seen: set[str]) -> Iterator[Found]:
    """For several globs that overlap: each path the first time."""
    for found in files:
        if found.path not in seen:
            seen.add(found.path)
            yield found
