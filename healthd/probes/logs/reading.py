"""Reading log files piece by piece, in whole lines, and finding where to begin."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import BinaryIO

PIECE = 256 * 1024  # small: the interpreter is held while a piece is searched
LINE_MAX = 1024 * 1024  # a longer line is cut off there
_STRIDE = 64 * 1024

LineTime = Callable[[bytes], datetime | None]


class NoTimeError(Exception):
    """No line says when it was written."""


def pieces(file: BinaryIO, start: int, end: int | None, *, whole: bool) -> Iterator[tuple[bytes, int]]:
    """Whole lines from `start`, each piece with the offset after it. `end`: read no further than this.

    A last line without its end is left for the next time if `whole`, else given too. Of a line longer than 1 MiB
    the rest is dropped.
    """
    file.seek(start)
    at, carry, dropping = start, b"", False
    while True:
        data = file.read(PIECE if end is None else max(0, min(PIECE, end - at - len(carry))))
        if not data:
            break
        if dropping:
            newline = data.find(b"\n")
            at += len(data) if newline < 0 else newline + 1
            data = b"" if newline < 0 else data[newline + 1 :]
            dropping = newline < 0
        carry += data
        cut = carry.rfind(b"\n") + 1
        if not cut and len(carry) >= LINE_MAX:
            cut, dropping = len(carry), True
        if cut:
            at += cut
            yield carry[:cut], at
            carry = carry[cut:]
    if carry and not whole:
        yield carry, at + len(carry)


def last_lines(file: BinaryIO, count: int) -> int:
    """Where the last `count` lines begin."""
    end = file.seek(0, os.SEEK_END)
    at, wanted = end, count
    if end:
        file.seek(end - 1)
        wanted += file.read(1) == b"\n"
    while at > 0:
        size = min(PIECE, at)
        at -= size
        file.seek(at)
        data = file.read(size)
        newlines = data.count(b"\n")
        if newlines < wanted:
            wanted -= newlines
            continue
        for _ in range(wanted):
            data = data[: data.rfind(b"\n")]
        return at + len(data) + 1
    return 0


def begin_since(file: BinaryIO, moment: datetime, least: int, time_of: LineTime) -> int:
    """Where the lines begin that are not older than `moment`, found by halving; not before `least`.

    Lines are taken to be in order of time, as logs are; one without a time belongs to the one before.
    Raises NoTimeError.
    """
    low, high = least, file.seek(0, os.SEEK_END)
    if low >= high:
        return high
    if _first_time(file, low, high, time_of) is None:
        raise NoTimeError
    while high - low > _STRIDE:
        middle = (low + high) // 2
        found = _first_time(file, middle, high, time_of)
        if found is not None and found[0] < moment:
            low = found[1]
        else:
            high = middle
    for start, line in _lines(file, low):
        written = time_of(line)
        if written is not None and written >= moment:
            return start
    return file.seek(0, os.SEEK_END)


def next_line(file: BinaryIO, start: int) -> int:
    """Where the first line begins that does so at `start` or later."""
    return next((at for at, _ in _lines(file, start)), start)


def _first_time(file: BinaryIO, start: int, end: int, time_of: LineTime) -> tuple[datetime, int] | None:
    """The first line after `start` that says when it was written: that time, and where it begins."""
    for at, line in _lines(file, start):
        if at >= end:
            return None
        if (written := time_of(line)) is not None:
            return written, at
    return None


def _lines(file: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    """Lines that begin at `start` or later."""
    file.seek(max(0, start - 1))
    at = max(0, start - 1)
    if start:
        at += len(file.readline(LINE_MAX))
    while line := file.readline(LINE_MAX):
        yield at, line
        at += len(line)


def unpacked(file: BinaryIO, moment: datetime, time_of: LineTime) -> Iterator[bytes]:
    """The lines of a gzip file that are not older than `moment`. Raises NoTimeError, OSError, EOFError, zlib.error."""
    begun = timed = False
    with gzip.GzipFile(fileobj=file) as plain:
        for piece, _ in pieces(plain, 0, None, whole=False):  # type: ignore[arg-type]
            if begun:
                yield piece
                continue
            last = next((t for line in reversed(piece.splitlines()) if (t := time_of(line)) is not None), None)
            timed = timed or last is not None
            if last is None or last < moment:
                continue
            begun = True
            yield _since(piece, moment, time_of)
    if not timed:
        raise NoTimeError


def _since(piece: bytes, moment: datetime, time_of: LineTime) -> bytes:
    at = 0
    for line in piece.splitlines(keepends=True):
        written = time_of(line)
        if written is not None and written >= moment:
            return piece[at:]
        at += len(line)
    return b""
