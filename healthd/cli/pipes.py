"""Standard output and error that nobody reads, or not to the end, as in `healthd check | head -1`."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Patient(io.FileIO):
    """What nobody reads any more is dropped: the command goes on to its end and its exit code, a daemon on and on."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Make standard output and error outlive whoever reads them, and be there where they were closed from the start."""
    sys.stdout = _outliving(sys.stdout)
    sys.stderr = _outliving(sys.stderr)


def _outliving(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed by whoever started it
        return Path(os.devnull).open("w")
    try:
        number = stream.fileno()
        kind = os.fstat(number).st_mode
    except (OSError, ValueError):  # not a file
        return stream
    if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        return stream
    stream.flush()
    raw = _Patient(number, "w", closefd=False)
    known = cast("io.TextIOWrapper", stream)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=known.encoding, errors=known.errors, line_buffering=known.line_buffering
    )
