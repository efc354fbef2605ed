"""Programs of an emulated production that healthd is allowed to run: small scripts, each with a path of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote


def install_program(path: Path, script: Path, *arguments: str | Path) -> None:
    """Make `path` a program that runs this Python script with these arguments before its own.

    By way of a shell: a first line that names Python itself would be cut where its path is long or has a space.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-I", str(script), *map(str, arguments)]
    path.write_text(f'#!/bin/sh\nexec {" ".join(map(quote, words))} "$@"\n')
    path.chmod(0o755)
