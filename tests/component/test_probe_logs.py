"""The logs probe on real files: from look to look, over every kind of rotation, by time, and from the end."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from tests.component.looking import Looker, evidence, looking, values

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["logs"]) as looker:
        looker.now = NOW
        yield looker


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text("old ERROR\n")
    return path


def append(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(lines) + end)


# -- from look to look


async def test_only_what_is_new_is_counted(log: Path, look: Looker) -> None:
    ask: dict[str, Any] = {"glob": str(log), "patterns": "ERROR"}
    first = values(await look(**ask))
    assert (first["matches"], first["lines"], first["files"]) == (0, 0, 1)
    assert "period" not in first
    assert "matches_rate" not in first
    append(log, "2 ERROR", "fine", "3 ERROR", "fine")
    look.now = NOW + timedelta(minutes=1)
    seen = await look(**ask)
    assert values(seen) == {
        "files": 1, "lines": 4, "matches": 2, "matches_ratio": 0.5, "matches_rate": pytest.approx(2 / 60),
        "period": 60, "bytes_read": 26, "backlog": 0, "last_write_age": values(seen)["last_write_age"],
    }  # fmt: skip
    assert evidence(seen, "matches: last lines") == "2 ERROR\n3 ERROR"
    look.now = NOW + timedelta(minutes=2)
    assert values(await look(**ask))["matches"] == 0


async def test_a_line_is_counted_when_it_is_whole(log: Path, look: Looker) -> None:
    ask: dict[str, Any] = {"glob": str(log), "patterns": "ERROR"}
    await look(**ask)
    append(log, "half an ERR", end="")
    assert values(await look(**ask))["lines"] == 0
    append(log, "OR", end="\n")
    assert values(await look(**ask))["matches"] == 1


async def test_several_patterns_exclude_and_case(log: Path, look: Looker) -> None:
    ask: dict[str, Any] = {
        "glob": str(log), "exclude": "healthcheck",
        "patterns": {"errors": r"(?i)\berror\b", "exploits": r"\.php|\.jsp|admin|wp-", "fives": '" 5[0-9]{2} '},
    }  # fmt: skip
    await look(**ask)
    append(
        log,
        "Error: x",
        "errors are not one",
        "healthcheck ERROR",
        "GET /wp-login.php",
        '"GET /" 503 1',
        "ok",
        end="\r\n",
    )
    assert {n: values(await look(**ask))[n] for n in ("errors",)} == {"errors": 1}
    append(log, "GET /wp-login.php", '"GET /" 503 1', '"GET /" 200 1')
    seen = values(await look(**ask))
    assert (seen["errors"], seen["exploits"], seen["fives"], seen["lines"]) == (0, 1, 1, 3)


async def test_a_rotation_by_renaming_loses_nothing(log: Path, look: Looker) -> None:
    for glob in (str(log), str(log) + "*"):
        ask: dict[str, Any] = {"glob": glob, "patterns": "ERROR"}
        await look(**ask)
        append(log, "before ERROR 1")
        rotated = log.with_name(f"app.log.{len(glob)}")
        log.rename(rotated)
        append(rotated, "written late ERROR 2")
        append(log, "new file ERROR 3")
        assert values(await look(**ask))["matches"] == 3
        append(rotated, "even later ERROR 4")
        append(log, "ERROR 5")
        assert values(await look(**ask))["matches"] == 2
        assert values(await look(**ask))["matches"] == 0


async def test_a_look_in_the_middle_of_a_rotation_loses_nothing(log: Path, look: Looker) -> None:
    ask: dict[str, Any] = {"glob": str(log), "patterns": "ERROR"}
    await look(**ask)
    append(log, "ERROR 1")
    rotated = log.with_name("app.log.1")
    log.rename(rotated)
    seen = await look(**ask)  # the new file is not there yet
    assert (values(seen)["files"], values(seen)["matches"]) == (0, 1)
    assert seen.note == f"no file is there that fits {log}"
    append(rotated, "written late ERROR 2")
    append(log, "ERROR 3")
    assert values(await look(**ask))["matches"] == 2
    log.unlink()
    rotated.unlink()
    assert set(values(await look(**ask))) == {"files"}


async def test_a_rotation_by_copying_and_truncating(log: Path, look: Looker) -> None:
    for glob in (str(log), str(log) + "*"):
        append(log, *[f"{glob} line {n} ERROR" for n in range(100)])
        ask: dict[str, Any] = {"glob": glob, "patterns": "ERROR"}
        await look(**ask)
        append(log, "in the copy ERROR")
        shutil.copy(log, f"{log}.{len(glob)}")
        log.write_text("")
        append(log, "after ERROR")
        expected = 2 if glob.endswith("*") else 1  # what is only in the copy can be seen where the glob finds it
        assert values(await look(**ask))["matches"] == expected
        append(log, *[f"grown beyond where it was {n} ERROR" for n in range(300)])
        assert values(await look(**ask))["matches"] == 300


async def test_truncated_and_grown_again_between_two_looks(log: Path, look: Looker) -> None:
    append(log, "first beginning")
    ask: dict[str, Any] = {"glob": str(log), "patterns": "ERROR"}
    await look(**ask)
    log.write_text("another beginning ERROR\n" + "x\n" * 1000)
    assert values(await look(**ask))["matches"] == 1


async def test_compressed_rotations_were_read_before(log: Path, look: Looker) -> None:
    ask: dict[str, Any] = {"glob": f"{log}*", "patterns": "ERROR"}
    await look(**ask)
    with gzip.open(f"{log}.2.gz", "wt") as packed:
        packed.write("ERROR\n" * 10)
    assert values(await look(**ask))["matches"] == 0


@pytest.mark.probe("logs")
async def test_a_file_that_comes_later_is_read_from_its_beginning(log: Path, look: Looker) -> None:
    ask: dict[str, Any] = {"glob": str(log.parent / "*.log"), "patterns": "ERROR"}
    await look(**ask)
    append(log.parent / "other.log", "ERROR", "ERROR")
    assert values(await look(**ask))["matches"] == 2
    log.unlink()
    assert values(await look(**ask))["files"] == 1


async def test_checks_with_other_parameters_have_their_own_position(log: Path, look: Looker) -> None:
    await look(glob=str(log), patterns="ERROR")
    await look(glob=str(log), patterns="FATAL")
    append(log, "ERROR FATAL")
    assert values(await look(glob=str(log), patterns="ERROR"))["matches"] == 1
    assert values(await look(glob=str(log), patterns="FATAL"))["matches"] == 1


LONG = 5_000_000  # lines


async def test_what_cannot_be_read_in_time_is_left_for_the_next_look(log: Path, look: Looker) -> None:
    ask: dict[str, Any] = {"glob": str(log), "patterns": r"(?=.*.*.*x)[A-Z]"}
    await look(**ask)
    with log.open("ab") as file:
        file.write(b"ERROR\n" * LONG)
    look.timeout = timedelta(seconds=3)  # enough of it is left over for the last piece to end on a busy machine
    lines, looks = 0, 0
    while lines < LONG:
        seen = await look(**ask)
        lines += int(values(seen)["lines"])
        looks += 1
        assert bool(values(seen)["backlog"]) == ("left for the next look" in seen.note)
    assert lines == LONG
    assert looks > 1


async def test_a_line_made_for_a_pattern_is_told(log: Path, look: Looker) -> None:
    ask: dict[str, Any] = {"glob": str(log), "patterns": r"ERROR (\S+\s*)+!"}
    await look(**ask)
    append(log, "ERROR " + "a" * 100)
    with pytest.raises(ProbeError, match="avoid repetitions within repetitions"):
        await look(**ask)


async def test_long_lines_are_looked_at_elsewhere_and_count_the_same(log: Path, look: Looker) -> None:
    ask: dict[str, Any] = {
        "glob": str(log),
        "patterns": r"a.*b.*c",
        "exclude": "x.*y.*z",
        "numbers": {"n": r"b.*=(\d+)"},
    }
    await look(**ask)
    long = "-" * 5000
    append(log, f"a{long}b{long}c=7", "abc=5", f"abc{long}x{long}y{long}z", "nothing")
    seen = values(await look(**ask))
    assert (seen["matches"], seen["n_max"]) == (2, 7)


# -- by time


FORMATS = {
    "iso": "%Y-%m-%dT%H:%M:%S.123Z",
    "offset": "%Y-%m-%d %H:%M:%S,123 +0000",
    "bare": "[%Y-%m-%d %H:%M:%S]",
    "access": '1.2.3.4 - - [%d/%b/%Y:%H:%M:%S +0000] "GET /"',
    "nginx": "%Y/%m/%d %H:%M:%S [error]",
    "syslog": "%b %d %H:%M:%S host app[1]:",
    "epoch": "%s",
    "json": '{"level":"info","ts":%s.25}',
}


def stamp(moment: datetime, form: str) -> str:
    return moment.strftime(form.replace("%s", str(int(moment.timestamp()))))


def write_days(path: Path, form: str, *, hours: int = 48, per_hour: int = 120, width: int = 60) -> None:
    begin = NOW - timedelta(hours=hours)
    step = timedelta(hours=1) / per_hour
    lines = []
    for n in range(hours * per_hour):
        lines.append(f"{stamp(begin + n * step, form)} ERROR {n} {'x' * width}")
        if n % 7 == 0:
            lines.append("  at a.b.C(D.java:12) ERROR-less trace")
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))


@pytest.mark.parametrize("form", FORMATS)
async def test_a_window_begins_where_the_time_says(log: Path, look: Looker, form: str) -> None:
    write_days(log, FORMATS[form])
    seen = values(await look(glob=str(log), patterns="ERROR [0-9]", read="window", since="2h"))
    assert seen["matches"] == 240
    assert seen["matches_rate"] == pytest.approx(240 / 7200)
    assert float(seen["bytes_read"]) < 0.06 * log.stat().st_size


async def test_a_window_over_rotated_and_compressed_files(log: Path, look: Looker) -> None:
    write_days(log, FORMATS["iso"], hours=10)
    text = log.read_text().splitlines(keepends=True)
    half = len(text) // 2
    with gzip.open(f"{log}.1.gz", "wt") as packed:
        packed.writelines(text[:half])
    log.write_text("".join(text[half:]))
    for path in (log, Path(f"{log}.1.gz")):
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    old = log.with_name("app.log.2")
    old.write_text("2020-01-01T00:00:00Z ERROR 1\n")
    os.utime(old, (0, 0))
    Path(f"{log}.3.xz").write_bytes(b"\xfd7zXZ")
    os.utime(f"{log}.3.xz", (NOW.timestamp(), NOW.timestamp()))
    ask: dict[str, Any] = {"glob": f"{log}*", "patterns": "ERROR [0-9]", "read": "window"}
    seen = await look(**ask, since="8h")
    assert values(seen)["matches"] == 8 * 120
    assert "of compressed files only .gz is read" in evidence(seen, "Left out")
    assert values(await look(**ask, since="8h"))["matches"] == 8 * 120  # looks do not add up
    packed_bytes = Path(f"{log}.1.gz").read_bytes()
    Path(f"{log}.1.gz").write_bytes(packed_bytes[: len(packed_bytes) // 2])
    os.utime(f"{log}.1.gz", (NOW.timestamp(), NOW.timestamp()))
    assert "cannot be unpacked to its end" in evidence(await look(**ask, since="8h"), "Left out")


async def test_the_first_look_can_begin_in_the_past(log: Path, look: Looker) -> None:
    write_days(log, FORMATS["iso"])
    ask: dict[str, Any] = {"glob": str(log), "patterns": "ERROR [0-9]", "since": "1h"}
    seen = await look(**ask)
    assert (values(seen)["matches"], values(seen)["period"]) == (120, 3600)
    assert not any(e.title == "Left out" for e in seen.evidence)
    append(log, "2026-11-21T12:00:10Z ERROR 9")
    assert values(await look(**ask))["matches"] == 1


async def test_the_first_look_reads_only_so_far_back(log: Path, look: Looker) -> None:
    write_days(log, FORMATS["iso"])
    seen = await look(glob=str(log), patterns="ERROR [0-9]", since="40h", first_bytes="100kB")
    assert 90_000 < float(values(seen)["bytes_read"]) <= 100_000
    assert "what is before its last 100000 bytes" in evidence(seen, "Left out")


async def test_times_without_a_zone_are_in_the_zone_of_the_log(log: Path, look: Looker) -> None:
    write_days(log, FORMATS["bare"])
    ask: dict[str, Any] = {"glob": str(log), "patterns": "ERROR [0-9]", "read": "window", "since": "2h"}
    assert values(await look(**ask, log_zone="Europe/Berlin"))["matches"] == 120  # 12:00 there is 11:00 UTC


@pytest.mark.probe_failure("logs")
async def test_lines_that_tell_no_time(log: Path, look: Looker) -> None:
    append(log, *["no time at all"] * 10)
    os.utime(log, (NOW.timestamp(), NOW.timestamp()))
    with pytest.raises(ProbeError, match="says when it was written") as failure:
        await look(glob=str(log), patterns="x", read="window", since="1h")
    assert failure.value.kind == "config"


# -- from the end


@pytest.mark.parametrize(("count", "found"), [(1, 1), (10, 10), (299, 299), (300, 300), (5000, 300)])
async def test_the_last_lines(log: Path, look: Looker, count: int, found: int) -> None:
    log.write_text("".join(f"{n} .php {'y' * (n * 7 % 3000)}\n" for n in range(300)))
    for _ in range(2):
        seen = await look(glob=str(log), patterns=r"\.php", read="tail", tail_lines=count)
        assert (values(seen)["matches"], values(seen)["lines"]) == (found, found)
    assert evidence(seen, "matches: last lines").splitlines()[-1].startswith("299 .php")


async def test_the_last_line_may_have_no_end(log: Path, look: Looker) -> None:
    log.write_text("a\nb\nc")
    assert values(await look(glob=str(log), patterns="b|c", read="tail", tail_lines=2))["matches"] == 2
    log.write_text("")
    assert values(await look(glob=str(log), patterns="b", read="tail"))["lines"] == 0


# -- words and numbers


async def test_top_words_and_numbers(log: Path, look: Looker) -> None:
    lines = [f'10.0.0.{n % 3} - "POST /login" 401 request_time:{n}' for n in range(1, 101)]
    log.write_text("\n".join([*lines, '10.9.9.9 - "GET /" 200 request_time:99999', "request_time:oops"]) + "\n")
    seen = await look(
        glob=str(log), read="tail",
        top={"failed_logins": {"pattern": r'^(\S+) .*" 40[13] ', "limit": 2}},
        numbers={"response": {"pattern": r"401 request_time:(\d+)", "unit": "ms"}},
    )  # fmt: skip
    measured = values(seen)
    assert measured["failed_logins{10.0.0.1}"] == 34
    assert len([name for name in measured if name.startswith("failed_logins")]) == 2
    assert measured["response_count"] == 100
    assert measured["response_mean"] == pytest.approx(0.0505)
    assert measured["response_p50"] == pytest.approx(0.050, rel=0.03)
    assert measured["response_p99"] == pytest.approx(0.099, rel=0.03)
    assert measured["response_max"] == pytest.approx(0.1)


async def test_too_many_different_words_stay_bounded(log: Path, look: Looker) -> None:
    log.write_text("".join(f"ip={n} \nip=evil \n" for n in range(50_000)))
    seen = await look(glob=str(log), read="tail", tail_lines=200_000, top={"ips": r"ip=(\S+)"})
    assert values(seen)["ips{evil}"] == 50_000
    assert "the rarest words" in evidence(seen, "Left out")


async def test_secrets_and_control_characters_are_not_shown(log: Path, look: Looker) -> None:
    log.write_bytes(b"ERROR \x1b[31m password=hunter22 Authorization: Bearer abcdefghijkl \xff\n")
    seen = await look(glob=str(log), patterns="ERROR", read="tail", top={"who": r"(password=\S+)"})
    assert "hunter22" not in repr(seen)
    assert "abcdefghijkl" not in repr(seen)
    assert "\x1b" not in evidence(seen, "matches: last lines")


# -- memory and limits


async def test_lines_without_an_end_and_huge_files_need_no_memory(log: Path, look: Looker) -> None:
    with log.open("wb") as file:
        file.truncate(200_000_000)  # zeros: one line
        file.seek(0, os.SEEK_END)
        file.write(b"\nERROR\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = await look(glob=str(log), patterns="ERROR", read="tail", tail_lines=2)
    assert (values(seen)["matches"], values(seen)["lines"]) == (1, 2)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kB


async def test_no_file_and_no_folder(tmp_path: Path, look: Looker) -> None:
    seen = await look(glob=str(tmp_path / "*.log"), patterns="x")
    assert (values(seen), seen.note) == ({"files": 0}, f"no file is there that fits {tmp_path}/*.log")
    with pytest.raises(ProbeError) as failure:
        await look(glob=str(tmp_path / "none/*.log"), patterns="x")
    assert failure.value.kind == "missing"


async def test_a_pipe_is_never_opened(tmp_path: Path, look: Looker) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    assert values(await look(glob=str(tmp_path / "*.log"), patterns="x")) == {"files": 0}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"patterns": "("}, "not a regular expression"),
        ({"patterns": "[äö]"}, "only ASCII"),
        ({"patterns": {"lines": "x"}}, "is taken"),
        ({"patterns": {"a": "x", "a_rate": "y"}}, "is taken"),
        ({"patterns": {"a b": "x"}}, "cannot name a measure"),
        ({"top": {"a": "x"}}, "has no group"),
        ({"numbers": {"a": {"pattern": "(x)", "unit": "parsec"}}}, "unit"),
        ({"read": "window"}, "needs `since`"),
        ({"read": "tail", "since": "1h"}, "leave out since"),
        ({"log_zone": "Mars"}, "not a time zone"),
        ({"glob": "relative.log"}, "absolute"),
    ],
)
def test_mistakes_are_found_at_loading(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PROBES["logs"].Params(**{"glob": "/var/log/x.log", **params})
