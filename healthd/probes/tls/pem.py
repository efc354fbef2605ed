"""Certificates in files."""

from __future__ import annotations

import glob
from pathlib import Path

from cryptography import x509

from healthd.model.outcomes import ProbeError

_FILES_MAX = 1000


class NotPemError(Exception):
    """A file that holds no readable certificate."""


def matching(pattern: str) -> list[Path]:
    """The files of a path or glob, sorted. Raises ProbeError when there are too many to be meant."""
    found = sorted(Path(name) for name in glob.iglob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207 - absolute patterns
    if len(found) > _FILES_MAX:
        raise ProbeError(f"{pattern} matches {len(found)} files, more than {_FILES_MAX}", kind="limit")
    return found


def read_chain(path: Path, limit: int) -> list[x509.Certificate]:
    """Its certificates in order; keys beside them are ignored. Raises NotPemError; ProbeError when unreadable."""
    try:
        with path.open("rb") as file:
            data = file.read(limit)
    except OSError as error:
        kind = "forbidden" if isinstance(error, PermissionError) else "missing"
        raise ProbeError(f"{path}: {(error.strerror or str(error)).lower()}", kind=kind) from None
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise NotPemError(f"{path} holds no readable PEM certificate") from None
