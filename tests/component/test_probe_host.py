"""The machine's own probes: against this machine, file trees, a time server of our own, real child processes."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import Observation
from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from healthd.probes.blocking import BlockingCalls, Stop
from tests.component.looking import Looker, evidence, looking, values


@pytest.fixture
async def look(request: pytest.FixtureRequest) -> AsyncIterator[Looker]:
    """The probe named like the test: test_disk_... looks with `disk`."""
    async with looking(PROBES[request.node.name.split("_")[1]]) as looker:
        yield looker


def series_of(observation: Observation) -> set[str]:
    return {m.series for m in observation.measurements}


# disk


async def test_disk_agrees_with_df(look: Looker) -> None:
    seen = values(await look(mounts=["/"]))
    output = subprocess.run(["df", "-P", "-B1", "/"], capture_output=True, text=True, check=True).stdout
    _, total, used, available, percent, _ = output.splitlines()[1].split()
    assert seen["total_bytes{/}"] == int(total)
    assert seen["free_bytes{/}"] == pytest.approx(int(available), rel=0.01)
    assert seen["used_ratio{/}"] == pytest.approx(int(used) / (int(used) + int(available)), abs=0.01)
    assert seen["used_ratio{/}"] + seen["free_ratio{/}"] == pytest.approx(1)
    assert 0 <= seen["inodes_used_ratio{/}"] <= 1
    assert abs(seen["used_ratio{/}"] * 100 - int(percent.rstrip("%"))) <= 1.5


async def test_disk_takes_all_real_file_systems_and_no_pseudo_ones(look: Looker) -> None:
    series = series_of(await look())
    assert "/" in series
    assert not series & {"/proc", "/sys", "/dev", "/dev/shm", "/sys/fs/cgroup"}


async def test_disk_watches_a_pseudo_one_that_is_named(look: Looker) -> None:
    assert series_of(await look(mounts="/dev/shm")) == {"/dev/shm"}


async def test_disk_takes_any_path_for_the_file_system_it_is_on(look: Looker, tmp_path: Path) -> None:
    seen = values(await look(paths=[str(tmp_path)]))
    assert seen[f"total_bytes{{{tmp_path}}}"] == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


async def test_disk_names_a_mount_that_is_not_there(look: Looker, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=f"{tmp_path} is not mounted.*paths") as caught:
        await look(mounts=["/", str(tmp_path)])
    assert caught.value.kind == "missing"
    with pytest.raises(ProbeError, match="no real file system is mounted at /nowhere/"):
        await look(mounts=["/nowhere/*"])


async def test_disk_names_a_path_that_is_not_there_and_still_tells_the_others(look: Looker) -> None:
    with pytest.raises(ProbeError, match="/not/there: No such file or directory") as caught:
        await look(paths=["/", "/not/there"])
    assert "/: " in caught.value.evidence[0].text


async def test_disk_excludes_by_glob(look: Looker) -> None:
    assert series_of(await look(mounts=["/", "/dev/shm"], exclude=["/dev/*"])) == {"/"}
    with pytest.raises(ProbeError, match="exclude leaves no file system"):
        await look(mounts=["/"], exclude=["*"])


async def test_disk_refuses_relative_paths_and_unknown_words() -> None:
    for params, message in (({"paths": "data"}, "not an absolute path"), ({"mount": "/"}, "Extra inputs")):
        with pytest.raises(ValidationError, match=message):
            PROBES["disk"].Params(**params)


# calls that hang


@pytest.fixture
def hanging(tmp_path: Path) -> Callable[[Stop], int]:
    """Opening a pipe nobody writes to blocks in the kernel, as a dead file server does."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def call(_stop: Stop) -> int:
        with pipe.open("rb") as file:
            return len(file.read())

    call.release = lambda: os.close(os.open(pipe, os.O_WRONLY))  # type: ignore[attr-defined]
    return call


async def test_a_hung_call_holds_up_nobody_and_is_not_asked_twice(hanging: Callable[[Stop], int]) -> None:
    calls = BlockingCalls()
    ticks = asyncio.create_task(_count_ticks())
    with pytest.raises(TimeoutError):
        await calls.call("/mnt/dead", hanging, 0.2)
    assert await ticks >= 5
    hung = [t for t in threading.enumerate() if t.name == "blocking /mnt/dead"]
    with pytest.raises(TimeoutError):
        await calls.call("/mnt/dead", hanging, 60)  # at once
    assert [t for t in threading.enumerate() if t.name == "blocking /mnt/dead"] == hung
    assert len(hung) == 1
    assert await calls.call("/mnt/fine", lambda _stop: 5, 1) == 5

    hanging.release()  # type: ignore[attr-defined]
    await asyncio.to_thread(hung[0].join, 5)
    assert await calls.call("/mnt/dead", lambda _stop: 7, 1) == 7


async def _count_ticks() -> int:
    end, ticks = asyncio.get_running_loop().time() + 0.15, 0
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.01)
        ticks += 1
    return ticks


async def test_a_cancelled_call_is_told_to_stop() -> None:
    stopped = threading.Event()

    def until_told(stop: Stop) -> None:
        stop.wait(10)
        stopped.set()

    task = asyncio.create_task(BlockingCalls().call("work", until_told, 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(stopped.wait, 5)


async def test_a_failing_call_fails_with_its_own_error() -> None:
    with pytest.raises(FileNotFoundError):
        await BlockingCalls().call("x", lambda _stop: os.stat("/not/there"), 5)


# memory


async def test_memory_agrees_with_the_kernel(look: Looker) -> None:
    seen = values(await look())
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(lines["MemTotal"].split()[0]) * 1024
    available = int(lines["MemAvailable"].split()[0]) * 1024
    assert seen["total_bytes"] == total
    assert seen["available_bytes"] == pytest.approx(available, rel=0.1)
    assert seen["used_ratio"] == pytest.approx(1 - available / total, abs=0.1)
    assert 0 <= seen["swap_used_ratio"] <= 1


def write_tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


async def test_memory_of_a_version_2_group_under_its_parents_limit(look: Looker, tmp_path: Path) -> None:
    group = write_tree(
        tmp_path / "pod/container",
        {
            "memory.current": "800",
            "memory.max": "max",
            "memory.stat": "anon 500\ninactive_file 200\nactive_file 100",
            "memory.swap.current": "10",
            "memory.swap.max": "40",
        },
    )
    write_tree(tmp_path / "pod", {"memory.max": "1000", "memory.swap.max": "max"})
    seen = values(await look(scope="cgroup", cgroup=group))
    assert seen == {
        "used_ratio": 0.6,
        "used_bytes": 600,
        "available_bytes": 400,
        "total_bytes": 1000,
        "swap_used_ratio": 0.25,
    }


async def test_memory_of_a_version_1_group(look: Looker, tmp_path: Path) -> None:
    group = write_tree(
        tmp_path / "docker",
        {
            "memory.usage_in_bytes": "900",
            "memory.limit_in_bytes": "1000",
            "memory.memsw.usage_in_bytes": "950",
            "memory.memsw.limit_in_bytes": "1100",
            "memory.stat": "inactive_file 1\ntotal_inactive_file 150",
        },
    )
    seen = values(await look(scope="cgroup", cgroup=group))
    assert (seen["used_ratio"], seen["total_bytes"], seen["swap_used_ratio"]) == (0.75, 1000, 0.5)


async def test_memory_of_a_group_without_limit_is_compared_with_the_machine(look: Looker, tmp_path: Path) -> None:
    group = write_tree(tmp_path / "g", {"memory.usage_in_bytes": "900", "memory.limit_in_bytes": "9223372036854771712"})
    observation = await look(scope="cgroup", cgroup=group)
    assert values(observation)["total_bytes"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert "no limit set" in evidence(observation, "Control group")


async def test_memory_names_a_group_that_is_not_there(look: Looker, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=f"{tmp_path}/gone is not a control group") as caught:
        await look(scope="cgroup", cgroup=tmp_path / "gone")
    assert caught.value.kind == "missing"
    with pytest.raises(ValidationError, match="write scope: cgroup beside it"):
        PROBES["memory"].Params(cgroup=tmp_path)


# cpu, load, uptime


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
    assert time.monotonic() - started < 0.5
    assert 0 <= seen["used_ratio"] <= 1


async def look_again(look: Looker) -> Observation:
    look.shared.clear()  # another batch
    return await look(interval=0)


async def test_cpu_is_watched_once_for_all_checks_of_a_batch(look: Looker) -> None:
    started = time.monotonic()
    first, second = await asyncio.gather(look(interval="300ms"), look(interval="300ms"))
    assert time.monotonic() - started < 0.55
    assert first == second


async def test_cpu_refuses_an_interval_longer_than_the_timeout(look: Looker) -> None:
    with pytest.raises(ProbeError, match="interval 10s does not fit into the check's timeout of 5s") as caught:
        await look(interval="10s")
    assert caught.value.kind == "config"


async def test_load_is_the_kernels(look: Looker) -> None:
    seen = values(await look())
    assert seen["load15"] == pytest.approx(os.getloadavg()[2], abs=0.5)
    assert seen["load1_per_core"] == seen["load1"] / (os.cpu_count() or 1)
    assert set(seen) == set(PROBES["load"].measures)


async def test_uptime_is_the_kernels(look: Looker) -> None:
    seen = values(await look())
    assert seen["uptime"] == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=2)
    assert seen["boot_time"] + seen["uptime"] == pytest.approx(time.time(), abs=2)


# clock


class TimeServer:
    """A real SNTP server on loopback that can be wrong, rude or silent."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.shift, self.flags, self.stratum, self.refid = 0.0, 0b00_100_100, 2, b"TEST"
        self.ignore, self.requests = 0, 0
        self.before: Callable[[bytes], bytes | None] = lambda request: None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            request, client = self.socket.recvfrom(512)
            if request == b"stop":
                return
            self.requests += 1
            if self.requests <= self.ignore:
                continue
            if (first := self.before(request)) is not None:
                self.socket.sendto(first, client)
            self.socket.sendto(self.answer(request), client)

    def answer(self, request: bytes) -> bytes:
        now = self.stamp(time.time() + self.shift)
        head = bytes([self.flags, self.stratum, 6, 0xEC]) + struct.pack(">II", 0x00010000, 0x00008000) + self.refid
        return head + now + request[40:48] + now + now

    @staticmethod
    def stamp(when: float) -> bytes:
        seconds, fraction = divmod(when + 2_208_988_800, 1)
        return struct.pack(">II", int(seconds) % 2**32, int(fraction * 2**32))

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"stop", self.socket.getsockname())
        self.thread.join(5)
        self.socket.close()


@pytest.fixture
def time_server() -> Iterator[TimeServer]:
    server = TimeServer()
    yield server
    server.stop()


@pytest.mark.parametrize("shift", [0.0, 5.0, -7200.0, 0.25])
async def test_clock_measures_the_offset_and_its_direction(look: Looker, time_server: TimeServer, shift: float) -> None:
    time_server.shift = shift
    seen = values(await look(server=time_server.address))
    assert seen["ahead"] == pytest.approx(-shift, abs=0.05)
    assert seen["offset"] == pytest.approx(abs(shift), abs=0.05)
    assert seen["stratum"] == 2
    assert 0 <= seen["round_trip"] < 0.1
    assert seen["max_error"] == pytest.approx(1.0, abs=0.1)  # half the root delay of 1 s, and 0.5 s dispersion


async def test_clock_reads_times_after_the_era_of_2036(look: Looker, time_server: TimeServer) -> None:
    time_server.shift = datetime(2040, 1, 1, tzinfo=UTC).timestamp() - time.time()
    assert values(await look(server=time_server.address))["offset"] == pytest.approx(time_server.shift, abs=0.05)


async def test_clock_asks_again_when_a_packet_is_lost(look: Looker, time_server: TimeServer) -> None:
    time_server.ignore = 1
    assert values(await look(server=time_server.address))["offset"] < 0.05
    assert time_server.requests == 2


async def test_clock_ignores_answers_to_questions_it_did_not_ask(look: Looker, time_server: TimeServer) -> None:
    forged = bytes([0b00_100_100, 1]) + bytes(30) + TimeServer.stamp(0) + TimeServer.stamp(0)
    time_server.before = lambda request: forged
    assert values(await look(server=time_server.address))["offset"] < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stratum": 0, "refid": b"RATE"}, "kiss code RATE"),
        ({"flags": 0b11_100_100}, "is not synchronised itself"),
        ({"stratum": 16}, "is not synchronised itself"),
        ({"flags": 0b00_100_011}, "mode 3"),
    ],
)
async def test_clock_does_not_believe_a_useless_answer(
    look: Looker, time_server: TimeServer, change: dict[str, object], message: str
) -> None:
    vars(time_server).update(change)
    with pytest.raises(ProbeError, match=message) as caught:
        await look(server=time_server.address)
    assert caught.value.kind == "protocol"


async def test_clock_says_why_there_is_no_answer(look: Looker, time_server: TimeServer) -> None:
    look.timeout = timedelta(seconds=0.5)
    time_server.ignore = 1000
    for server, kind, message in (
        (time_server.address, "timeout", "did not answer within 0.45s"),
        ("127.0.0.1:9", "refused", "UDP port 9 is closed"),
        ("no-such-host.invalid", "dns", "time server no-such-host.invalid: "),
    ):
        with pytest.raises(ProbeError, match=message) as caught:
            await look(server=server)
        assert caught.value.kind == kind


@pytest.mark.parametrize("server", ["", "host:port", "ntp://host", "a/b", "host:99999"])
def test_clock_refuses_what_is_no_address(server: str) -> None:
    with pytest.raises(ValidationError, match="is not host or host:port"):
        PROBES["clock"].Params(server=server)


async def test_clock_without_a_server_asks_the_kernel(look: Looker) -> None:
    seen = values(await look())
    assert seen["synchronised"] in (0, 1)
    assert ("offset" in seen) == (seen["synchronised"] == 1)


# process


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


async def test_process_by_exact_name(look: Looker) -> None:
    assert values(await look(name="no-such-program"))["count"] == 0
    own = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    assert values(await look(name=own))["count"] >= 1


def test_process_must_be_told_which() -> None:
    with pytest.raises(ValidationError, match="say which processes"):
        PROBES["process"].Params()
    with pytest.raises(ValidationError, match="not a regular expression"):
        PROBES["process"].Params(match="(")
