"""Which program a name stands for, and whether this installation lets healthd run it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from healthd.probes.base import ProbeError

# fixed, so that the environment healthd was started in cannot change what runs
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SETTING = "HEALTHD_ALLOWED_COMMANDS"


def resolve_allowed(program: str, allowed: Iterable[str]) -> str:
    """The absolute path to run. Raises ProbeError: forbidden (the settings do not name it), config (it is not there).

    A program is allowed when its path is that of an entry; names, on either side, stand for the first program of that
    name on SEARCH_PATH. Links are not followed: allowing a link allows what it points to, under the link's name.
    """
    entries = tuple(allowed)
    path = program if program.startswith("/") else shutil.which(program, path=SEARCH_PATH)
    paths = {entry if entry.startswith("/") else shutil.which(entry, path=SEARCH_PATH) for entry in entries}
    if path is not None and path in paths:
        return _runnable(path)
    if program in entries:
        raise ProbeError(f"there is no program {program} on {SEARCH_PATH}: install it or write its path", "config")
    if not entries:
        raise ProbeError(
            f"healthd may not run any program: set {_SETTING}={path or program} to allow this one", "forbidden"
        )
    raise ProbeError(
        f"healthd may not run {path or program}: add it to {_SETTING} (now: {', '.join(entries)})", "forbidden"
    )


def _runnable(path: str) -> str:
    if not os.path.exists(path):  # noqa: PTH110
        raise ProbeError(f"{path} is not there", "config")
    if os.path.isdir(path) or not os.access(path, os.X_OK):  # noqa: PTH112
        raise ProbeError(f"{path} is not executable by the user healthd runs as", "config")
    return path
