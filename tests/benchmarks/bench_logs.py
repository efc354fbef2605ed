"""How fast log files are looked through, against `grep -c` on the same file, and how much memory that takes.

    python -m tests.benchmarks.bench_logs

A file of 400 MB in the page cache; one core; seconds are CPU time, for grep its user and system time.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from healthd.probes.base import ProbeContext, Resources
from healthd.probes.logs import LogsProbe
from healthd.probes.logs.stream import LineScanner
from tests.benchmarks.table import Row, print_rows

SIZE, ROUNDS, WANTED = 400_000_000, 3, 150
STREAMED, CHUNK = 100_000_000, 65_536
# (what, parameters, what grep is asked)
CASES: tuple[tuple[str, Mapping[str, Any], tuple[str, ...]], ...] = (
    ("one word", {"patterns": "ERROR"}, ("-c", "ERROR")),
    ("any letter case", {"patterns": r"(?i)\berror\b"}, ("-ciP", r"\berror\b")),
    ("four alternatives", {"patterns": r"\.php|\.jsp|admin|wp-"}, ("-cE", r"\.php|\.jsp|admin|wp-")),
    ("status 5xx", {"patterns": r"status=5\d\d"}, ("-cE", "status=5[0-9][0-9]")),
    ("slow requests", {"patterns": r"duration=\d{4,}ms$"}, ("-cE", "duration=[0-9]{4,}ms$")),
    ("any 5xx", {"patterns": r"\b5\d\d\b"}, ("-cP", r"\b5\d\d\b")),
    ("any 4xx or 5xx", {"patterns": r"\b[45]\d\d\b"}, ("-cP", r"\b[45]\d\d\b")),
    ("between spaces", {"patterns": r"\s[45]\d\d\s"}, ("-cP", r"\s[45]\d\d\s")),
    ("three patterns", {"patterns": {"a": "ERROR", "b": "FATAL|PANIC", "c": "client disconnected"}}, ("-c", "ERROR")),
)


def write(path: Path) -> None:
    """Lines of an application: one in a hundred an error, one in fifty a 5xx."""
    block = "".join(
        f"2026-11-21T08:{n // 60 % 60:02d}:{n % 60:02d}.123Z {'ERROR' if n % 100 == 0 else 'INFO '} request"
        f" id={n * 2654435761 % 2**48:012x} path=/api/rooms/{n} status={500 if n % 50 == 0 else 200}"
        f" duration={n * 7919 % 900}ms\n"
        for n in range(40_000)
    ).encode()
    with path.open("wb") as file:
        for _ in range(SIZE // len(block)):
            file.write(block)


async def ours(path: Path, params: Mapping[str, Any]) -> tuple[float, float]:
    """MB per second of CPU, and the matches of the first pattern."""
    probe, resources = LogsProbe(), Resources()
    asked = LogsProbe.Params(glob=str(path), read="tail", tail_lines=10_000_000, **params)
    context = ProbeContext(datetime.now(UTC), timedelta(seconds=60), ZoneInfo("UTC"), resources)
    began = time.process_time()
    seen = await probe.run(asked, context)  # type: ignore[arg-type]
    spent = time.process_time() - began
    await resources.close()
    matches = next(m.value for m in seen.measurements if m.name in ("matches", "a"))
    return path.stat().st_size / 1e6 / spent, float(matches)


def streamed(path: Path, pattern: str) -> tuple[float, float]:
    """The same of a log that comes over a connection, as of kubernetes_logs."""
    with path.open("rb") as file:
        chunks = [file.read(CHUNK) for _ in range(STREAMED // CHUNK)]
    scanner = LineScanner({"": pattern})
    began = time.process_time()
    for chunk in chunks:
        scanner.feed(chunk)
    scanner.finish()
    return scanner.bytes / 1e6 / (time.process_time() - began), float(scanner.matches[""])


def grep(path: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """The same of grep."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["grep", *arguments, str(path)], stdout=subprocess.PIPE, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return path.stat().st_size / 1e6 / spent, float(done.stdout or 0)


def main() -> int:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.log"
        write(path)
        asyncio.run(ours(path, CASES[0][1]))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for what, params, arguments in CASES:
            own = [asyncio.run(ours(path, params)) for _ in range(ROUNDS)]
            theirs = [grep(path, arguments) for _ in range(ROUNDS)]
            assert own[0][1] == theirs[0][1], f"{what}: {own[0][1]} lines, grep finds {theirs[0][1]}"
            speed, other = statistics.median(s for s, _ in own), statistics.median(s for s, _ in theirs)
            rows.append(
                Row(what, f"{speed:.0f} MB/s", f"grep {other:.0f} MB/s", f"{speed / other:.2f}", f">= {WANTED} MB/s")
            )
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        rows.append(Row("memory beyond the first look", f"{grown / 1000:.1f} MB", "", "", "constant"))
        for what, params, _ in CASES:
            if isinstance(pattern := params["patterns"], str):
                speed = statistics.median(streamed(path, pattern)[0] for _ in range(ROUNDS))
                rows.append(Row(f"streamed: {what}", f"{speed:.0f} MB/s", "", "", f">= {WANTED} MB/s"))
    print_rows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
