"""The probes cpu, load and uptime."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from healthd.model.outcomes import Observation
from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from tests.component.looking import Looker, looking, values


async def test_cpu_sees_a_busy_processor(look: Looker) -> None:
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        seen = values(await look(interval="500ms", per_core=True))
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    assert seen["used_ratio"] > 0.5
    assert all(0 <= value <= 1 for value in seen.values())
    assert {f"core_used_ratio{{{n}}}" for n in range(os.cpu_count() or 1)} <= seen.keys()


async def test_cpu_since_the_previous_look_waits_only_the_first_time(look: Looker) -> None:
    await look(interval=0)
    started = time.monotonic()
    seen = values(await look_again(look))
    assert time.monotonic() - started < 1  # as long as the first waits
    assert 0 <= seen["used_ratio"] <= 1


async def look_again(look: Looker) -> Observation:
    look.shared.clear()  # another batch
    return await look(interval=0)


@pytest.mark.probe("cpu")
async def test_cpu_is_watched_once_for_all_checks_of_a_batch(look: Looker) -> None:
    started = time.monotonic()
    first, second = await asyncio.gather(look(interval="3s"), look(interval="3s"))
    assert time.monotonic() - started < 6
    assert first == second


@pytest.mark.probe_failure("cpu")
async def test_cpu_refuses_an_interval_longer_than_the_timeout(look: Looker) -> None:
    with pytest.raises(ProbeError, match="interval 10s does not fit into the check's timeout of 5s") as caught:
        await look(interval="10s")
    assert caught.value.kind == "config"


@pytest.mark.probe("load")
async def test_load_is_the_kernels(look: Looker) -> None:
    seen = values(await look())
    assert seen["load15"] == pytest.approx(os.getloadavg()[2], abs=0.5)
    assert seen["load1_per_core"] == seen["load1"] / (os.cpu_count() or 1)
    assert set(seen) == set(PROBES["load"].measures)


@pytest.mark.probe("uptime")
async def test_uptime_is_the_kernels(look: Looker) -> None:
    seen = values(await look())
    assert seen["uptime"] == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=20)
    assert seen["boot_time"] + seen["uptime"] == pytest.approx(time.time(), abs=20)


libc = ctypes.CDLL(None, use_errno=True)


SYSINFO = {"x86_64": 99, "aarch64": 179}


def call(name: str, *arguments: object) -> None:
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def hide_proc() -> None:
    """From this thread, which gets mounts of its own. Needs root."""
    call("unshare", 0x00020000)
    call("mount", b"none", b"/", None, 0x44000, None)
    call("mount", b"none", b"/proc", b"tmpfs", 0, None)


def forbid_sysinfo() -> None:
    """To this thread, as the jails of some containers do: a filter of system calls that answers EPERM to this one."""
    load, equal, give = 0x20, 0x15, 0x06
    steps = [
        (load, 0, 0, 0),
        (equal, 0, 1, SYSINFO[os.uname().machine]),
        (give, 0, 0, 0x00050001),
        (give, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    call("prctl", 38, 1, 0, 0, 0)
    call("prctl", 22, 2, ctypes.c_char_p(program), 0, 0)


def in_a_thread(*work: Callable[[], None]) -> None:
    """One after the other; raises what they do."""
    failures = list[BaseException]()

    def run() -> None:
        try:
            for each in work:
                each()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize(
    ("kind", "without", "says"),
    [
        pytest.param("load", forbid_sysinfo, "gives no load averages", marks=pytest.mark.probe_failure("load")),
        pytest.param(
            "uptime", hide_proc, "does not tell when it was started", marks=pytest.mark.probe_failure("uptime")
        ),
    ],
)
def test_what_the_system_does_not_tell_is_unknown(kind: str, without: Callable[[], None], says: str) -> None:
    async def ask() -> None:
        async with looking(PROBES[kind]) as looker:
            await looker()

    with pytest.raises(ProbeError, match=says) as caught:
        in_a_thread(without, lambda: asyncio.run(ask()))
    assert caught.value.kind == "unsupported"
