"""kill -9 at any instant: what was acknowledged is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from healthd.store import SqlStore
from tests.component.store.examples import DAY, T0

ROOT = Path(__file__).parents[3]


def killed_after(url: str, round_: int, lines: int) -> list[str]:
    """Ids acknowledged by a process that is killed while it commits."""
    argv = [sys.executable, "-m", "tests.component.store.committer", url, str(round_)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        read = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        rest, errors = process.communicate()
    assert all(read), errors.decode()
    whole = (b"".join(read) + rest).decode().rpartition("\n")[0]
    return whole.splitlines()


async def test_every_acknowledged_commit_survives_kill_9(url: str) -> None:
    acknowledged: set[str] = set()
    for round_ in range(3):
        acknowledged |= set(killed_after(url, round_, 60 + 130 * round_))
        store = SqlStore(url)
        await store.open()
        waiting = {m.id for m in await store.due_messages("slack", T0 + 999 * DAY, limit=10**6)}
        assert acknowledged <= waiting
        runs = {
            f"{round_}-{name}-{number}"
            for name in range(20)
            for number in range(len(await store.outcomes(f"shop/{round_}-{name}", limit=10**6)))
        }
        assert {id_ for id_ in acknowledged if id_.startswith(f"{round_}-")} <= runs
        assert all([await store.timeline(id_) for id_ in waiting])  # a commit is whole or not at all
        await store.close()
