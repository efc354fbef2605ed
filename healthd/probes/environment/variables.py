"""Which variables are set and not empty: of healthd itself, in a file of NAME=value lines, of running programs.

Only names leave these functions.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from healthd.probes.base import ProbeError
from healthd.probes.paths import shown
from healthd.probes.patterns import search

_FILE_MAX = 1_000_000
_LINE = re.compile(rb"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$")


def own() -> set[str]:
    """Those of this process."""
    return {name for name, value in os.environ.items() if value}


def in_file(path: str) -> set[str]:
    """Those that a file sets, as compose and systemd read it. Raises ProbeError."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(_FILE_MAX)
    except OSError as error:
        kind = "forbidden" if isinstance(error, PermissionError) else "missing"
        raise ProbeError(f"cannot read {shown(path)}: {error.strerror}", kind) from None
    found = (match for line in text.splitlines() if (match := _LINE.match(line)))
    return {match[1].decode() for match in found if match[2].strip(b"'\"")}


def of_programs(pattern: str) -> dict[str, set[str]]:
    """Those of each running program whose command line matches, by its pid. Raises ProbeError."""
    import psutil

    found: dict[str, set[str]] = {}
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or not search(pattern, " ".join(process.cmdline())):
                continue
            found[str(process.pid)] = {name for name, value in process.environ().items() if value}
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        except psutil.AccessDenied:
            raise ProbeError(
                f"the environment of process {process.pid} may only be read by its own user or root", "forbidden"
            ) from None
    if not found:
        raise ProbeError(f"no running program matches {pattern!r}", "missing")
    return found
