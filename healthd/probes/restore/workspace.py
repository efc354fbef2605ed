"""The folder a drill works in: made, marked as ours, removed; what killed drills left behind is found by its mark."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from healthd.probes.base import ProbeError

__all__ = ["Workspace", "free_space", "remove_leftovers", "scratch_user", "spare_space"]

_PREFIX = "healthd-restore-"
_NAME = re.compile(rf"{_PREFIX}\w{{8}}")
_MARK = "made-by-healthd.json"
_SPARE = 500_000_000


def scratch_user() -> str | None:
    """As whom the scratch server runs: PostgreSQL refuses to be root. None: as healthd itself."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "healthd" if "healthd" in known else "nobody"  # not postgres: production's data may be that user's


class Workspace:
    """A new folder inside `parent` that only `user` and healthd may look into. Raises ProbeError."""

    def __init__(self, parent: Path, made: datetime, user: str | None) -> None:
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            (self.folder / _MARK).write_text(json.dumps({"made": made.isoformat(), "pid": os.getpid()}))
            if user is not None:
                shutil.chown(self.folder, user)
        except OSError as error:
            kind = "forbidden" if isinstance(error, PermissionError) else "config"
            words = (error.strerror or str(error)).lower()
            raise ProbeError(f"HEALTHD_SCRATCH_DIR {parent} cannot be used: {words}", kind) from None

    def remove(self) -> None:
        """Delete it with everything inside."""
        _remove(self.folder)


def free_space(folder: Path) -> int:
    """Bytes that may still be written there."""
    return shutil.disk_usage(folder).free


def spare_space(folder: Path) -> int:
    """Bytes that are left to others."""
    return min(_SPARE, shutil.disk_usage(folder).total // 20)


def remove_leftovers(parent: Path, now: datetime, after: timedelta) -> int:
    """Remove what drills that were killed left in `parent` longer than `after` ago; how many there were.

    Only folders of our name that hold our mark are touched, and servers only when they run on data inside of them.
    """
    found = 0
    with contextlib.suppress(OSError):
        for folder in parent.iterdir():
            made = _made(folder)
            if made is None or now - made < after:
                continue
            found += 1
            _stop_server(folder)
            _remove(folder)
    return found


def _made(folder: Path) -> datetime | None:
    """When it was made, if it is one of ours."""
    if not _NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return None
    try:
        made = datetime.fromisoformat(json.loads((folder / _MARK).read_text())["made"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return made if made.tzinfo is not None else None


def _remove(folder: Path) -> None:
    if _made(folder) is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _stop_server(folder: Path) -> None:
    """End the server whose data is in there, if one still runs."""
    data = folder / "data"
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError, IndexError):
        return
    if os.fsencode(data) not in command:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGQUIT)
        for _ in range(50):
            os.kill(pid, 0)
            time.sleep(0.1)
