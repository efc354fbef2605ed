"""The probe command: programs that hang, hide and write without end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from healthd.probes.base import ProbeError, ProbeLimits
from tests.component.command.programs import Leftovers, gone, sh
from tests.component.looking import Looker, evidence, values


async def test_one_that_hangs_is_ended_with_all_its_children(
    look: Looker, leftovers: Leftovers, tmp_path: Path
) -> None:
    look.timeout = timedelta(seconds=1)
    script = f"sleep 61 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/own; echo started; wait"
    started = time.monotonic()
    with pytest.raises(ProbeError, match=r"sh did not end within 0\.8s and was stopped") as caught:
        await look(**sh(script))
    assert time.monotonic() - started < 20  # it would take a minute
    assert caught.value.kind == "timeout"
    assert caught.value.evidence[0].text == "started"
    for name in ("child", "own"):
        assert await gone(int((tmp_path / name).read_text()))
    assert not await leftovers()


async def test_one_that_will_not_hear_is_killed(look: Looker, leftovers: Leftovers, tmp_path: Path) -> None:
    look.timeout = timedelta(seconds=1)
    script = f"trap 'echo heard >> {tmp_path}/heard' TERM; echo $$ > {tmp_path}/own; while :; do sleep 0.05; done"
    with pytest.raises(ProbeError, match="did not end"):
        await look(**sh(script))
    assert (tmp_path / "heard").read_text() == "heard\n", "asked first"
    assert await gone(int((tmp_path / "own").read_text()))
    assert not await leftovers()


async def test_when_cancelled_the_group_is_killed(look: Looker, leftovers: Leftovers, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    task = asyncio.create_task(look(**sh(f"sleep 61 & echo $! > {ready}.tmp; mv {ready}.tmp {ready}; wait")))
    while not ready.exists():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(int(ready.read_text()))
    assert not await leftovers()


async def test_a_helper_left_in_the_background_ends_with_the_program(look: Looker, tmp_path: Path) -> None:
    started = time.monotonic()
    observation = await look(**sh(f"sleep 61 & echo $! > {tmp_path}/helper; echo done"))
    assert time.monotonic() - started < 20
    assert evidence(observation, "Output") == "done"
    assert await gone(int((tmp_path / "helper").read_text()))


@pytest.mark.probe("command")
async def test_a_daemon_that_keeps_the_pipes_open_holds_nothing_up(
    look: Looker, leftovers: Leftovers, tmp_path: Path
) -> None:
    started = time.monotonic()
    pid = tmp_path / "daemon"
    observation = await look(**sh(f"setsid sh -c 'echo $$ > {pid}; exec sleep 61' & while [ ! -s {pid} ]; do :; done"))
    assert time.monotonic() - started < 20
    assert values(observation)["exit_code"] == 0
    os.kill(int(pid.read_text()), signal.SIGKILL)  # it moved to its own session: not the probe's any more
    assert not await leftovers()


async def test_output_written_by_a_helper_at_the_end_is_not_lost(look: Looker) -> None:
    observation = await look(**sh("(sleep 0.05; echo late) & echo early"))
    assert evidence(observation, "Output") == "early\nlate"


async def test_output_beyond_the_limit_is_read_and_dropped(look: Looker) -> None:
    look.limits = ProbeLimits(allowed_commands=("sh",), max_command_output_bytes=100_000, max_evidence_chars=1000)
    observation = await look(**sh("seq 1 100000; exit 3"))
    seen = values(observation)
    assert (seen["exit_code"], seen["lines"]) == (3, 100_000)
    shown = next(e for e in observation.evidence if e.title.startswith("Output"))
    assert shown.title == "Output (588895 bytes, cut)"
    assert len(shown.text) <= 500


async def test_one_that_writes_without_end_is_stopped(look: Looker, leftovers: Leftovers) -> None:
    look.limits = ProbeLimits(allowed_commands=("sh",), max_command_output_bytes=10_000)
    with pytest.raises(ProbeError, match="wrote more than 640000 bytes and was stopped") as caught:
        await look(**sh("exec yes"))
    assert caught.value.kind == "limit"
    assert not await leftovers()


async def test_binary_output_is_made_visible(look: Looker) -> None:
    observation = await look(**sh(r"printf '\377\000\033[31mred\n'"))
    assert evidence(observation, "Output") == "\N{REPLACEMENT CHARACTER}" * 3 + "[31mred"


async def test_many_at_once_leave_nothing_behind(look: Looker, leftovers: Leftovers) -> None:
    before = len(os.listdir("/proc/self/fd"))
    observations = await asyncio.gather(*(look(**sh(f"exit {n}")) for n in range(30)))
    assert [values(o)["exit_code"] for o in observations] == list(range(30))
    assert not await leftovers()
    assert len(os.listdir("/proc/self/fd")) <= before
