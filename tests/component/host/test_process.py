"""The probe process: against real child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from tests.component.looking import Looker, evidence, values


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    marker = f"marker-{tmp_path.name}-{os.getpid()}"
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", marker], stdin=subprocess.PIPE)
    process.marker = marker  # type: ignore[attr-defined]
    yield process
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


async def test_process_finds_itself(look: Looker) -> None:
    seen = values(await look(pid="self"))
    assert seen["count"] == 1
    assert seen["rss"] == seen["max_rss"] > 1_000_000
    assert seen["oldest_age"] == seen["newest_age"] > 0
    assert 0 < seen["open_files_ratio"] < 1
    assert seen["threads"] >= 1


async def test_process_counts_by_command_line(look: Looker, sleeper: subprocess.Popen[bytes]) -> None:
    pattern = sleeper.marker  # type: ignore[attr-defined]
    observation = await look(match=pattern)
    assert values(observation)["count"] == 1
    assert values(observation)["oldest_age"] < 60
    assert str(sleeper.pid) in evidence(observation, "Processes")
    assert values(await look(match=pattern, user="nobody-of-that-name"))["count"] == 0


async def test_process_that_is_gone_counts_zero_and_a_zombie_is_gone(
    look: Looker, sleeper: subprocess.Popen[bytes]
) -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, but not reaped
    observation = await look(pid=sleeper.pid)
    assert values(observation) == {"count": 0}
    assert observation.note == "no such process is running"


@pytest.mark.probe_failure("process")
async def test_process_by_pidfile(look: Looker, sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pidfile = tmp_path / "run.pid"
    with pytest.raises(ProbeError, match=r"cannot read the pidfile .*: No such file") as caught:
        await look(pidfile=pidfile)
    assert caught.value.kind == "missing"
    pidfile.write_text("not a number")
    with pytest.raises(ProbeError, match="holds no process id"):
        await look(pidfile=pidfile)
    pidfile.write_text(f"{sleeper.pid}\n")
    assert values(await look(pidfile=pidfile))["count"] == 1


@pytest.mark.probe("process")
async def test_process_by_exact_name(look: Looker) -> None:
    assert values(await look(name="no-such-program"))["count"] == 0
    own = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    assert values(await look(name=own))["count"] >= 1


def test_process_must_be_told_which() -> None:
    with pytest.raises(ValidationError, match="say which processes"):
        PROBES["process"].Params()
    with pytest.raises(ValidationError, match="not a regular expression"):
        PROBES["process"].Params(match="(")
