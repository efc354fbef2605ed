"""Whether files are whole: gzip's own checksum, and SHA-256 sums kept beside them. Read piece by piece."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Callable
from typing import BinaryIO

from healthd.probes.blocking import Stop
from healthd.probes.paths import shown

SIDECAR = ".sha256"
_PIECE = 1 << 20
_MAX_SIDECAR = 1 << 20
_SHA256 = re.compile(r"\b[0-9a-fA-F]{64}\b")

# what is wrong with a file, "" when nothing is; raises OSError when it cannot be read
Inspection = Callable[[str, Stop], str]


def inspect_gzip(path: str, stop: Stop) -> str:
    """Decompress it all, keeping nothing."""
    with _open_regular(path) as file:
        if os.fstat(file.fileno()).st_size == 0:
            return "is empty"
        try:
            with gzip.GzipFile(fileobj=file) as content:
                while content.read(_PIECE) and not stop.is_set():
                    pass
        except EOFError:
            return "is cut short"
        except gzip.BadGzipFile as error:
            return f"is damaged or no gzip file ({error})"
        except zlib.error as error:
            return f"is damaged ({error})"
    return ""


def inspect_checksum(path: str, stop: Stop) -> str:
    """Compare with the sum in `path`.sha256, written as sha256sum does (with or without --tag) or alone."""
    try:
        with _open_regular(path + SIDECAR) as file:
            expected = listed_sum(file.read(_MAX_SIDECAR).decode(errors="replace"), os.path.basename(path))  # noqa: PTH119
    except FileNotFoundError:
        os.stat(path)  # noqa: PTH116 - if the file is gone as well there is nothing to say about it
        return f"has no {SIDECAR} file beside it"
    if expected is None:
        return f"is not listed in its {SIDECAR} file"
    digest = hashlib.sha256()
    with _open_regular(path) as file:
        while (piece := file.read(_PIECE)) and not stop.is_set():
            digest.update(piece)
    return "" if digest.hexdigest() == expected else f"does not have the sum in its {SIDECAR} file"


def inspect_files(paths: list[str], inspect: Inspection, stop: Stop, most: int | None = None) -> tuple[int, list[str]]:
    """How many were inspected, at most `most`, and what is wrong, a line for each bad file.

    Those that vanished meanwhile are passed over.
    """
    inspected, problems = 0, []
    for path in paths:
        if stop.is_set() or inspected == most:
            break
        try:
            problem = inspect(path, stop)
        except FileNotFoundError:
            continue
        except OSError as error:  # a bad disk is told without the name
            error.filename = error.filename or path
            raise
        inspected += 1
        if problem:
            problems.append(f"{shown(path)} {problem}")
    return inspected, problems


def listed_sum(text: str, name: str) -> str | None:
    """The SHA-256 sum that a checksum file gives for the file `name`, None when it gives none."""
    lines = [line for line in text.splitlines() if _SHA256.search(line)]
    named = [line for line in lines if re.search(rf"(?:^|[\s*(/]){re.escape(name)}(?:\)|\s|$)", line)]
    alone = [line for line in lines if _SHA256.fullmatch(line.strip())]
    for line in named or alone:
        if found := _SHA256.search(line):
            return found[0].lower()
    return None


def _open_regular(path: str) -> BinaryIO:
    """Open without ever waiting: a pipe put in the file's place since it was found would block."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return os.fdopen(descriptor, "rb")
