"""A file that says a database is taken. The kernel lets go of it when its process ends, however that happens."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Claim:
    """Of one process at a time. The file stays behind; only the lock on it means anything."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> str | None:
        """None when it is ours now; otherwise whose it is, in words. Raises OSError if the file cannot be made."""
        if self._file is not None:
            return None
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = os.pread(file, 100, 0).decode("ascii", "replace").strip()
            os.close(file)
            return f" ({words})" if words else ""
        except OSError:  # a file system without such locks
            os.close(file)
            return None
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {os.uname().nodename}\n".encode("ascii", "replace"), 0)
        self._file = file
        return None

    def release(self) -> None:
        """Let go of it."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
