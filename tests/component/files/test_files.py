"""The probe files over real folders: what it counts, what it leaves out, and what it measures."""

from __future__ import annotations

import gzip
import os
import socket
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from healthd.probes.files.pattern import make_pattern
from tests.component.files.folders import count, put
from tests.component.looking import Looker, evidence, values


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


@pytest.mark.probe_failure("files")
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


@pytest.mark.probe("files")
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
