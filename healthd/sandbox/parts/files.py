"""Files of an emulated production: dated backups, and the logs that web servers write."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_LINES_AT_ONCE = 10_000


class Backups:
    """A folder of gzipped dumps, one a day. `pattern` is a file's name with its day: shop_{day:%Y%m%d}.sql.gz."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self.folder, self._pattern = folder, pattern
        self._content = b""
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, day: datetime) -> Path:
        """The file of that day."""
        return self.folder / self._pattern.format(day=day)

    def fill(self, dump: bytes, days: Iterable[datetime]) -> None:
        """Write the same dump for each of these days, as made at these times."""
        # the quickest level: how small it becomes is decided by what is in the dump
        self._content = gzip.compress(dump, compresslevel=1)
        for day in days:
            self.put(day)

    def put(self, day: datetime, content: bytes | None = None, *, made: datetime | None = None) -> None:
        """Write that day's file: what it held at first, or this; changed last at `day` or `made`."""
        path = self.path(day)
        path.write_bytes(self._content if content is None else content)
        seconds = (made or day).timestamp()
        os.utime(path, (seconds, seconds))

    def remove(self, day: datetime) -> None:
        """Delete that day's file, if it is there."""
        self.path(day).unlink(missing_ok=True)

    def cut(self, day: datetime, share: float) -> None:
        """Leave that share of the file's beginning: what a copy that broke off leaves."""
        self.put(day, self._content[: int(len(self._content) * share)])

    def replace(self, day: datetime, dump: bytes) -> None:
        """Write another dump, whole and gzipped."""
        self.put(day, gzip.compress(dump, compresslevel=1))

    def damage(self, day: datetime) -> None:
        """Change bytes in the middle of the file, as a bad disk does."""
        middle = len(self._content) // 2
        rest = bytes(byte ^ 0xFF for byte in self._content[middle : middle + 512])
        self.put(day, self._content[:middle] + rest + self._content[middle + 512 :])


@dataclass(frozen=True, slots=True)
class Request:
    """One request as an access log shows it. `size` in bytes."""

    method: str = "GET"
    path: str = "/"
    status: int = 200
    address: str = "203.0.113.7"
    size: int = 5120
    agent: str = "Mozilla/5.0"

    def line(self, at: datetime) -> str:
        """In the combined format of nginx and Apache."""
        return (
            f'{self.address} - - [{at:%d/%b/%Y:%H:%M:%S %z}] "{self.method} {self.path} HTTP/1.1"'
            f' {self.status} {self.size} "-" "{self.agent}"'
        )


class AccessLog:
    """An access log that grows."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    def write(self, requests: Iterable[Request], at: datetime | None = None) -> None:
        """Add these requests, made at that time or now."""
        moment = at or datetime.now(UTC)
        with self.file.open("a") as log:
            log.writelines(f"{request.line(moment)}\n" for request in requests)

    def history(self, requests: Iterator[Request], since: timedelta, every: timedelta) -> None:
        """Add the past: one request each so often, from so long ago until now."""
        now = datetime.now(UTC)
        at, lines = now - since, list[str]()
        while at < now:
            lines.append(f"{next(requests).line(at)}\n")
            at += every
        with self.file.open("a") as log:
            for start in range(0, len(lines), _LINES_AT_ONCE):
                log.writelines(lines[start : start + _LINES_AT_ONCE])

    def forget(self, word: str) -> None:
        """Take the lines with that word out; the file is written anew, as log rotation does."""
        fresh = self.file.with_name(f".{self.file.name}.new")
        with self.file.open() as log, fresh.open("w") as kept:
            kept.writelines(line for line in log if word not in line)
        shutil.copymode(self.file, fresh)
        fresh.replace(self.file)


class ErrorLog:
    """An error log in nginx's format that grows."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    def write(self, text: str, level: str = "error", at: datetime | None = None) -> None:
        """Add a line of that level: debug, info, notice, warn, error, crit, alert or emerg."""
        moment = at or datetime.now(UTC)
        with self.file.open("a") as log:
            log.write(f"{moment:%Y/%m/%d %H:%M:%S} [{level}] {os.getpid()}#{os.getpid()}: {text}\n")
