"""What storing an outcome costs: CPU of SqlStore per commit of one outcome and one state, against bare sqlite3.

    python -m tests.benchmarks.bench_store [--seconds 5] [--rate 500] [--url postgresql://...]

Paced: commits arrive evenly at the given rate, as from running checks. Burst: as fast as 100 runs at once can.
Bare: sqlite3 alone inserts the same rows, made beforehand, in transactions of 1 and of 100 commits.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from healthd.model.outcomes import CheckState, Level, Measurement, Outcome, RowState, Verdict
from healthd.model.units import Unit
from healthd.store import SqlStore
from healthd.store.base import Commit
from healthd.store.statements import commit_steps

CHECKS = 1000
START = datetime(2026, 1, 1, tzinfo=UTC)
MEASURES = ("up", "latency", "status", "dns", "connect", "first_byte", "size")
VERDICTS = (
    Verdict("latency", "latency", "", 0.0123, Unit.SECONDS, Level.OK),
    Verdict("status", "status", "", 200.0, None, Level.OK),
)
STATE = CheckState(
    "web/check", Level.OK, Level.OK, "OK", START, rows={"latency": RowState(), "status": RowState()}, last_run=START,
    last_ok=START, expected_by=START, recent=(Level.OK,) * 20, verdicts=VERDICTS, fingerprint="0123456789abcdef",
)  # fmt: skip


def commits(count: int) -> list[Commit]:
    """Of an HTTP check with seven measures and two threshold rows."""
    made = []
    for number in range(count):
        check_id, started = f"web/check-{number % CHECKS}", START + timedelta(milliseconds=2 * number)
        measurements = tuple(Measurement(name, 0.0123 + number, Unit.SECONDS) for name in MEASURES)
        outcome = Outcome(
            check_id, started, timedelta(milliseconds=12), Level.OK, "OK", measurements, VERDICTS, due=started
        )
        made.append(Commit(outcomes=(outcome,), states=(replace(STATE, check_id=check_id, last_run=started),)))
    return made


async def paced(store: SqlStore, work: Sequence[Commit], rate: float) -> float:
    """CPU seconds per commit, less what the pacing alone costs."""
    loop = asyncio.get_running_loop()

    async def run(act: bool) -> float:
        began, cpu = loop.time(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for number, commit in enumerate(work):
                await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
                group.create_task(store.commit(commit) if act else asyncio.sleep(0))
        return time.process_time() - cpu

    idle = await run(act=False)
    return (await run(act=True) - idle) / len(work)


async def burst(store: SqlStore, work: Sequence[Commit]) -> tuple[float, float]:
    """CPU and wall seconds per commit with 100 callers."""
    queue = iter(work)

    async def caller() -> None:
        for commit in queue:
            await store.commit(commit)

    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.gather(*(caller() for _ in range(100)))
    return (time.process_time() - cpu) / len(work), (time.monotonic() - wall) / len(work)


def bare(path: Path, work: Sequence[Commit], size: int) -> float:
    """CPU seconds per commit of sqlite3 alone, `size` of them in a transaction, one executemany per table."""
    steps = [commit_steps(commit) for commit in work]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    cpu = time.process_time()
    for begin in range(0, len(steps), size):
        group = steps[begin : begin + size]
        connection.execute("BEGIN IMMEDIATE")
        for position in range(2):
            connection.executemany(group[0][position][0], [step[position][1] for step in group])
        connection.execute("COMMIT")
    cpu = time.process_time() - cpu
    connection.close()
    return cpu / len(work)


def encode(work: Sequence[Commit]) -> float:
    """CPU seconds per commit of turning objects into rows."""
    cpu = time.process_time()
    for commit in work:
        commit_steps(commit)
    return (time.process_time() - cpu) / len(work)


async def empty(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    await store.close()


async def measure(folder: Path, seconds: float, rate: float, url: str) -> None:
    """Print the table."""
    work = commits(int(seconds * rate))
    lines: dict[str, float] = {"encode alone": encode(work)}
    for size in (1, 100):
        path = folder / f"bare-{size}.db"
        await empty(f"sqlite:///{path}")
        lines[f"bare sqlite3, {size} per transaction"] = bare(path, work, size)
    base = lines["bare sqlite3, 1 per transaction"]
    for name, address in (("SQLite", f"sqlite:///{folder / 'store.db'}"), ("PostgreSQL", url)):
        if address:
            store = SqlStore(address)
            await store.open()
            lines[f"{name}, {rate:.0f} commits/s"] = await paced(store, work, rate)
            later = commits(3 * len(work))[len(work) :]
            lines[f"{name}, burst of 100 callers"], wall = await burst(store, later)
            lines[f"{name}, burst, wall clock"] = wall
            await store.close()
    print(f"{'per commit of 1 outcome and 1 state':42}{'microseconds':>14}{'ratio to bare':>16}")
    for name, cost in lines.items():
        print(f"{name:42}{cost * 1e6:14.1f}{cost / base:16.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--url", default="", help="measure this PostgreSQL database as well; it is written to")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="healthd-bench-") as folder:
        asyncio.run(measure(Path(folder), given.seconds, given.rate, given.url))


if __name__ == "__main__":
    main()
