"""The files probe over real folders: what it counts, what it leaves out, what it refuses to say."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from healthd.probes.files.pattern import make_pattern
from tests.component.looking import Looker, evidence, looking, values

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["files"]) as looker:
        looker.now = NOW
        yield looker


def put(path: Path, content: bytes = b"x", age: timedelta = timedelta(0)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    changed = (NOW - age).timestamp()
    os.utime(path, (changed, changed))
    return path


async def count(look: Looker, glob: str, **params: object) -> float | str:
    return values(await look(glob=glob, **params))["count"]


async def test_measures_ages_and_sizes(look: Looker, tmp_path: Path) -> None:
    put(tmp_path / "a.sql", b"x" * 10, timedelta(hours=30))
    put(tmp_path / "b.sql", b"x" * 300, timedelta(hours=6))
    put(tmp_path / "c.txt", b"other")
    observation = await look(glob=f"{tmp_path}/*.sql")
    assert values(observation) == {
        "count": 2,
        "newest_age": 6 * 3600,
        "oldest_age": 30 * 3600,
        "newest_size": 300,
        "smallest_size": 10,
        "largest_size": 300,
        "total_size": 310,
        "future_count": 0,
    }
    assert evidence(observation, "Newest files").splitlines() == [
        f"{tmp_path}/b.sql: 300B, 6h old",
        f"{tmp_path}/a.sql: 10B, 1d 6h old",
    ]


async def test_no_files_is_an_answer(look: Looker, tmp_path: Path) -> None:
    observation = await look(glob=f"{tmp_path}/*.sql", gzip="newest", checksum="all")
    assert values(observation) == {"count": 0, "total_size": 0}
    assert observation.note == f"no file is there that fits {tmp_path}/*.sql"


async def test_a_folder_that_is_not_there_is_a_failure(look: Looker, tmp_path: Path) -> None:
    put(tmp_path / "file")
    for glob, reason in (
        (f"{tmp_path}/gone/*.sql", f"cannot look into {tmp_path}/gone: No such file or directory"),
        (f"{tmp_path}/gone/exact.sql", f"cannot look into {tmp_path}/gone: No such file or directory"),
        (f"{tmp_path}/file/*", f"cannot look into {tmp_path}/file: Not a directory"),
    ):
        with pytest.raises(ProbeError) as caught:
            await look(glob=glob)
        assert (caught.value.reason, caught.value.kind) == (reason, "missing")


async def test_todays_folder_that_is_not_there_yet_holds_no_files(look: Looker, tmp_path: Path) -> None:
    assert await count(look, f"{tmp_path}/{{date:%Y-%m-%d}}/*.sql") == 0
    put(tmp_path / "2026-03-10/x.sql")
    put(tmp_path / "2026-03-09/y.sql")
    put(tmp_path / "2026-03-09/z.sql")
    assert await count(look, f"{tmp_path}/{{date:%Y-%m-%d}}/*.sql") == 1
    assert await count(look, f"{tmp_path}/{{date-1d:%Y-%m-%d}}/*.sql") == 2


@pytest.mark.parametrize(
    ("moment", "glob", "base", "name"),
    [
        ("2026-03-10T00:30+01:00", "/b/{date:%Y%m%d}.gz", "/b", "20260310.gz"),
        ("2026-03-10T00:30+01:00", "/b/{date-1d:%Y%m%d}.gz", "/b", "20260309.gz"),
        ("2026-01-01T00:30+01:00", "/b/{date-1d:%Y-%m}/x", "/b", "2025-12"),
        ("2026-03-10T00:30+01:00", "/b/{date-1h:%d-%H}", "/b", "09-23"),
        ("2026-03-10T00:30+01:00", "/b/{date+1d:%d}", "/b", "11"),
        ("2026-03-10T00:30+01:00", "/b/c/exact", "/b/c", "exact"),
    ],
)
def test_dates_in_globs(moment: str, glob: str, base: str, name: str) -> None:
    pattern = make_pattern(glob, datetime.fromisoformat(moment))
    assert (pattern.base, pattern.rest[0].text) == (base, name)


async def test_wildcards_are_those_of_a_shell(look: Looker, tmp_path: Path) -> None:
    for name in ("a.log", "b.log", ".hidden.log", "deep/c.log", "deep/er/d.log", ".git/e.log", "deep/f[1].log"):
        put(tmp_path / name)
    assert await count(look, f"{tmp_path}/*.log") == 2
    assert await count(look, f"{tmp_path}/.*.log") == 1
    assert await count(look, f"{tmp_path}/[!a].log") == 1
    assert await count(look, f"{tmp_path}/?.log") == 2
    assert await count(look, f"{tmp_path}/*/*.log") == 2
    assert await count(look, f"{tmp_path}/**/*.log") == 5
    assert await count(look, f"{tmp_path}/**") == 5
    assert await count(look, f"{tmp_path}/**/deep/**/*.log") == 3
    assert await count(look, f"{tmp_path}/**/**/d.log") == 1
    assert await count(look, f"{tmp_path}/deep/f[[]1].log") == 1
    assert await count(look, f"{tmp_path}/a.log") == 1
    assert await count(look, f"{tmp_path}/none.log") == 0


async def test_overlapping_globs_count_a_file_once(look: Looker, tmp_path: Path) -> None:
    put(tmp_path / "a.log")
    seen = values(await look(glob=[f"{tmp_path}/*.log", f"{tmp_path}/a*", f"{tmp_path}/**/a.*"]))
    assert seen["count"] == 1


async def test_filters(look: Looker, tmp_path: Path) -> None:
    for hours in (0, 2, 50):
        put(tmp_path / f"h{hours}", age=timedelta(hours=hours))
    assert await count(look, f"{tmp_path}/*", min_age="1h") == 2
    assert await count(look, f"{tmp_path}/*", older_than="2h") == 2
    assert await count(look, f"{tmp_path}/*", max_age="1d") == 2
    assert await count(look, f"{tmp_path}/*", newer_than="1d", min_age="1h") == 1
    assert await count(look, f"{tmp_path}/*", match=r"^h\d$") == 2


async def test_only_regular_files_count_and_nothing_else_is_opened(look: Looker, tmp_path: Path) -> None:
    put(tmp_path / "file.gz", gzip.compress(b"fine"), timedelta(hours=1))
    os.mkfifo(tmp_path / "pipe.gz")
    (tmp_path / "folder.gz").mkdir()
    (tmp_path / "zero.gz").symlink_to("/dev/zero")
    (tmp_path / "pipe-link.gz").symlink_to(tmp_path / "pipe.gz")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket.gz"))
    listener.close()
    seen = values(await look(glob=f"{tmp_path}/*.gz", gzip="all"))
    assert (seen["count"], seen["gzip_valid"]) == (1, 1)


async def test_links_loops_and_dead_ends(look: Looker, tmp_path: Path) -> None:
    put(tmp_path / "real/a.log")
    (tmp_path / "real/up").symlink_to(tmp_path)
    (tmp_path / "self.log").symlink_to(tmp_path / "self.log")
    (tmp_path / "dead.log").symlink_to(tmp_path / "nothing")
    (tmp_path / "also.log").symlink_to(tmp_path / "real/a.log")
    (tmp_path / "current").symlink_to(tmp_path / "real")
    observation = await look(glob=f"{tmp_path}/**/*.log")
    assert values(observation)["count"] == 2  # a.log and the link to it
    assert "2 links that lead nowhere" in evidence(observation, "Left out")
    assert await count(look, f"{tmp_path}/current/*.log") == 1
    assert await count(look, f"{tmp_path}/cur*/*.log") == 1


async def test_sparse_files_have_their_apparent_size(look: Looker, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(5_000_000_000)
    assert values(await look(glob=f"{tmp_path}/sparse"))["total_size"] == 5_000_000_000


async def test_a_file_from_the_future_is_told(look: Looker, tmp_path: Path) -> None:
    put(tmp_path / "x", age=-timedelta(days=3))
    put(tmp_path / "y", age=-timedelta(seconds=5))
    seen = values(await look(glob=f"{tmp_path}/*"))
    assert (seen["newest_age"], seen["future_count"]) == (0, 1)


async def test_names_that_are_no_text_are_shown_made_visible(look: Looker, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff\x1b[31m.log")).write_bytes(b"x")
    text = evidence(await look(glob=f"{tmp_path}/*.log"), "Newest files")
    assert text.encode()
    assert "bad\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m.log" in text


async def test_too_many_names_are_not_half_an_answer(look: Looker, tmp_path: Path) -> None:
    for number in range(30):
        put(tmp_path / f"{number}")
    with pytest.raises(ProbeError, match=r"more than 20 names to look at.*raise max_names") as caught:
        await look(glob=f"{tmp_path}/*", max_names=20)
    assert caught.value.kind == "limit"
    assert await count(look, f"{tmp_path}/*", max_names=30) == 30


async def test_only_the_newest_few_are_shown(look: Looker, tmp_path: Path) -> None:
    for hours in range(8):
        put(tmp_path / f"f{hours}", age=timedelta(hours=hours))
    lines = evidence(await look(glob=f"{tmp_path}/*"), "Newest files").splitlines()
    assert [line.split(":")[0].rpartition("/")[2] for line in lines[:-1]] == ["f0", "f1", "f2", "f3", "f4"]
    assert lines[-1] == "and 3 more"


# what this process may not read: asked as a user who really may not

_AS_NOBODY = """
import asyncio, json, os, pwd, sys
from tests.component.looking import looking, values
from healthd.probes import PROBES
from healthd.probes.base import ProbeError
probe = PROBES["files"]
async def main():
    async with looking(probe) as look:
        try:
            observation = await look(**json.loads(sys.argv[1]))
            print(json.dumps({"values": values(observation), "evidence": [e.text for e in observation.evidence]}))
        except ProbeError as error:
            print(json.dumps({"kind": error.kind, "reason": error.reason}))
if os.geteuid() == 0:  # only now: such a user may not be allowed to read this Python
    os.setgroups([])
    os.setuid(pwd.getpwnam("nobody").pw_uid)
asyncio.run(main())
"""


def look_as_ordinary_user(**params: object) -> dict[str, object]:
    process = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, json.dumps(params)],
        check=False,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    answer: dict[str, object] = json.loads(process.stdout)
    return answer


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder every user may walk down to; pytest keeps its own closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_that_may_not_be_read_is_a_failure_naming_it(open_path: Path) -> None:
    put(open_path / "open/a.log")
    put(open_path / "closed/b.log")
    (open_path / "closed").chmod(0)
    try:
        assert look_as_ordinary_user(glob=f"{open_path}/closed/*.log") == {
            "kind": "forbidden",
            "reason": f"cannot look into {open_path}/closed: Permission denied",
        }
        assert look_as_ordinary_user(glob=f"{open_path}/**/*.log") == {
            "kind": "forbidden",
            "reason": f"cannot look into {open_path}/closed: Permission denied;"
            " to leave out what healthd may not see write unreadable: skip",
        }
        answer = look_as_ordinary_user(glob=f"{open_path}/**/*.log", unreadable="skip")
        assert answer["values"]["count"] == 1  # type: ignore[index]
        assert f"{open_path}/closed" in answer["evidence"][1]  # type: ignore[index]
    finally:
        (open_path / "closed").chmod(0o755)


def test_a_file_that_may_not_be_read_through_is_a_failure_naming_it(open_path: Path) -> None:
    put(open_path / "x.gz", gzip.compress(b"x")).chmod(0)
    assert look_as_ordinary_user(glob=f"{open_path}/*.gz", gzip="newest") == {
        "kind": "forbidden",
        "reason": f"cannot read {open_path}/x.gz: Permission denied",
    }


# integrity

GOOD = gzip.compress(random.Random(1).randbytes(50_000), mtime=0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (GOOD, ""),
        (GOOD + GOOD, ""),
        (GOOD[:-9], "is cut short"),
        (GOOD[:5], "is cut short"),
        (b"", "is empty"),
        (b"plain text, not compressed at all", "is damaged or no gzip file"),
        (GOOD[:2000] + b"\xff" * 50 + GOOD[2050:], "is damaged"),
        (GOOD + b"garbage", "is damaged or no gzip file"),
        (GOOD[:-8] + b"\0\0\0\0" + GOOD[-4:], "is damaged"),
    ],
    ids=["good", "two-joined", "cut", "cut-early", "empty", "plain", "bad-middle", "garbage-after", "bad-sum"],
)
async def test_gzip(look: Looker, tmp_path: Path, content: bytes, problem: str) -> None:
    put(tmp_path / "backup.gz", content)
    observation = await look(glob=f"{tmp_path}/*.gz", gzip="newest")
    assert values(observation)["gzip_valid"] == (not problem)
    assert problem in observation.note
    assert bool(problem) == observation.note.startswith(f"{tmp_path}/backup.gz")


async def test_gzip_of_the_newest_or_of_all(look: Looker, tmp_path: Path) -> None:
    put(tmp_path / "old.gz", b"broken", timedelta(days=1))
    put(tmp_path / "new.gz", GOOD)
    assert values(await look(glob=f"{tmp_path}/*.gz", gzip="newest"))["gzip_valid"] == 1
    observation = await look(glob=f"{tmp_path}/*.gz", gzip="all")
    assert values(observation)["gzip_valid"] == 0
    assert evidence(observation, "Damaged files").startswith(f"{tmp_path}/old.gz")


async def test_gzip_reads_in_pieces_and_stops_in_time(look: Looker, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(1 << 24), 1) * 400  # 6.7 GB of zeros
    put(tmp_path / "bomb.gz", bomb)
    look.timeout = timedelta(seconds=0.4)
    with pytest.raises(ProbeError, match=r"took longer than 0.38s.*timeout") as caught:
        await look(glob=f"{tmp_path}/*.gz", gzip="newest")
    assert caught.value.kind == "timeout"
    await no_thread_left()


async def test_cancelled_it_stops_reading(look: Looker, tmp_path: Path) -> None:
    put(tmp_path / "bomb.gz", gzip.compress(bytes(1 << 24), 1) * 400)
    task = asyncio.create_task(look(glob=f"{tmp_path}/*.gz", gzip="newest"))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await no_thread_left()


async def no_thread_left() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("blocking files"):
            await asyncio.to_thread(thread.join, 2)
            assert not thread.is_alive()


async def test_checksums(look: Looker, tmp_path: Path) -> None:
    content = b"backup" * 1000
    right, wrong = hashlib.sha256(content).hexdigest(), hashlib.sha256(b"").hexdigest()
    put(tmp_path / "b.tar", content)
    sidecar = tmp_path / "b.tar.sha256"
    for text, problem in (
        (f"{right}  b.tar\n", ""),
        (f"{right.upper()} *./b.tar\n", ""),
        (f"{right}\n", ""),
        (f"SHA256 (b.tar) = {right}\n", ""),
        (f"{wrong}  a.tar\n{right}  b.tar\n", ""),
        (f"{wrong}  b.tar\n", "does not have the sum"),
        (f"{right}  other.tar\n", "is not listed"),
        ("", "is not listed"),
    ):
        put(sidecar, text.encode())
        observation = await look(glob=f"{tmp_path}/*", checksum="newest")
        assert values(observation)["count"] == 1, "the sum itself is not one of the files"
        assert values(observation)["checksum_valid"] == (not problem), text
        assert problem in observation.note
    sidecar.unlink()
    observation = await look(glob=f"{tmp_path}/*", checksum="all")
    assert observation.note == f"{tmp_path}/b.tar has no .sha256 file beside it"


async def test_files_that_come_and_go_while_looking_harm_nothing(look: Looker, tmp_path: Path) -> None:
    put(tmp_path / "stays.gz", GOOD, timedelta(hours=1))
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            put(tmp_path / "comes.gz", GOOD)
            os.unlink(tmp_path / "comes.gz")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(50):
            assert values(await look(glob=f"{tmp_path}/*.gz"))["count"] in (1, 2)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"glob": "relative/*.log"}, "is not an absolute path"),
        ({"glob": []}, "at least 1"),
        ({"glob": "/a/{b,c}/*"}, "for alternatives write several globs"),
        ({"glob": "/a/{date:%Y"}, "braces hold a date"),
        ({"glob": "/a/{date-1fortnight:%Y}"}, "'1fortnight' is not a duration"),
        ({"glob": "/a/{date:%Y/%m}/x"}, "a date template for each folder"),
        ({"glob": "/a/**.log"}, "must be a whole name"),
        ({"glob": "/a/*", "match": "("}, "not a regular expression"),
        ({"glob": "/a/*", "gzip": "some"}, "'newest' or 'all'"),
        ({"glob": "/a/*", "min_age": "soon"}, "not a duration"),
        ({"pattern": "/a/*"}, "Field required"),
    ],
)
def test_parameters_that_make_no_sense(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PROBES["files"].Params(**params)
    assert message in str(caught.value)


def test_measures_follow_the_parameters() -> None:
    probe = PROBES["files"]
    assert "gzip_valid" not in (probe.measures_for(probe.Params(glob="/a/*")) or {})
    assert "gzip_valid" in (probe.measures_for(probe.Params(glob="/a/*", gzip="all")) or {})
