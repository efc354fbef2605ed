"""Mounted secrets: there, not empty, not open to everyone, and how old. Their content is looked at and forgotten."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from healthd.probes.base import ProbeError
from healthd.probes.paths import shown

_LOOKED_AT = 4096  # bytes, to tell a line break from a secret


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One file. `changed` is in seconds since 1970; the last three say nothing when it is missing."""

    path: str
    missing: bool = False
    empty: bool = False
    exposed: bool = False
    changed: float = 0.0

    def problem(self) -> str:
        """What is wrong with it, if anything."""
        if self.missing:
            return "is not there"
        words = [word for word, wrong in (("is empty", self.empty), ("may be read by everyone", self.exposed)) if wrong]
        return " and ".join(words)


def look_at(paths: tuple[str, ...]) -> Iterator[SecretFile]:
    """Each path; of a folder its files (those of Kubernetes' own bookkeeping left aside). Raises ProbeError."""
    for path in paths:
        try:
            if Path(path).is_dir():
                files = sorted(str(p) for p in Path(path).iterdir() if not p.name.startswith("..") and p.is_file())
                yield from (_look_at(file) for file in files)
                if not files:
                    yield SecretFile(path, missing=True)
            else:
                yield _look_at(path)
        except OSError as error:
            kind = "forbidden" if isinstance(error, PermissionError) else "error"
            raise ProbeError(f"cannot read {shown(str(error.filename or path))}: {error.strerror}", kind) from None


def _look_at(path: str) -> SecretFile:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return SecretFile(path, missing=True)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return SecretFile(path, missing=True)
        empty = status.st_size <= _LOOKED_AT and not os.read(file, _LOOKED_AT).strip()
        return SecretFile(path, False, empty, bool(status.st_mode & stat.S_IROTH), status.st_mtime)
    finally:
        os.close(file)
