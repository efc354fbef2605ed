"""However a drill ends, nothing is left behind: cancelled, out of time, out of room, killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.base import ProbeLimits
from tests.component.looking import evidence, looking, values
from tests.component.restore.conftest import Drill, Production
from tests.servers.postgres import PostgresServer

SLOW = "SELECT pg_sleep(60);\n-- PostgreSQL database dump complete\n"


def processes(folder: Path) -> list[int]:
    """Those whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and os.fsencode(folder) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


async def until_restoring(scratch: Path) -> Path:
    """The workspace, once a server in it runs the dump."""
    while True:
        for folder in scratch.iterdir():
            with contextlib.suppress(psycopg.Error):
                connection = await psycopg.AsyncConnection.connect(host=str(folder), user="healthd", dbname="postgres")
                async with connection:
                    asked = await connection.execute(
                        "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sl'"
                    )
                    if await asked.fetchone() == (1,):
                        return folder
        await asyncio.sleep(0.05)


async def test_cancelled_in_the_middle(production: Production, drill: Drill, scratch: Path) -> None:
    path = production.folder / "slow.sql"
    path.write_text(SLOW)
    running = asyncio.ensure_future(drill(file=str(path)))
    folder = await until_restoring(scratch)
    assert processes(folder)
    began = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - began < 20  # the restore would take a minute
    assert not folder.exists()
    assert not processes(folder)


async def test_out_of_time(production: Production, drill: Drill, scratch: Path) -> None:
    path = production.folder / "slow.sql"
    path.write_text(SLOW)
    began = time.monotonic()
    # on a busy machine making the server may take that long by itself
    doing = r"doing: (make the scratch database|restore); lengthen the check's timeout"
    with pytest.raises(ProbeError, match=rf"no answer within 3s \({doing}\)") as caught:
        await drill(file=str(path), timeout=timedelta(seconds=3))
    assert time.monotonic() - began < 20
    assert caught.value.kind == "timeout"
    assert ": failed after" in caught.value.evidence[0].text
    assert not processes(scratch)


async def test_out_of_time_on_a_given_server(
    production: Production, drill: Drill, postgres: PostgresServer, scratch: Path
) -> None:
    path = production.folder / "slow.sql"
    path.write_text(SLOW)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE slow_drill LOGIN CREATEDB PASSWORD 'pw'")
        try:
            url = postgres.url("postgres", user="slow_drill", password="pw")
            with pytest.raises(ProbeError, match="doing: restore"):
                await drill(file=str(path), timeout=timedelta(seconds=2), server=url)
            left = connection.execute("SELECT datname FROM pg_database WHERE datname ~ '^healthd_restore'").fetchall()
        finally:
            connection.execute("DROP ROLE slow_drill")
    assert not left


async def test_not_enough_room(production: Production, drill: Drill) -> None:
    with pytest.raises(
        ProbeError, match=r"not enough room: restoring it needs about 100TB in .*, and .* may be used"
    ) as c:
        await drill(file=str(production.plain()), space="100TB")
    assert c.value.kind == "limit"


@pytest.fixture
def small_disk(scratch: Path) -> Iterator[Path]:
    """A file system of its own."""
    place = scratch / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        left = list(place.iterdir())
        subprocess.run(["umount", place], check=True)
        place.rmdir()
        assert not left


async def test_stopped_before_the_disk_is_full(
    small_disk: Path, production: Production, postgres: PostgresServer
) -> None:
    path = production.folder / "growing.sql"
    path.write_text(
        "CREATE TABLE t (a text);\n" + "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 500);\n" * 900
    )
    async with looking(PROBES["restore_drill"]) as looker:
        looker.limits, looker.timeout = ProbeLimits(scratch_dir=small_disk), timedelta(seconds=60)
        with pytest.raises(ProbeError, match=r"not enough room: stopped restoring with .* almost full") as caught:
            await looker(file=str(path), binaries=postgres.binaries, space=0)
    assert caught.value.kind == "limit"


KILLED = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from healthd.probes import PROBES
from healthd.probes.base import ProbeLimits
from tests.component.looking import looking

async def main():
    async with looking(PROBES["restore_drill"]) as look:
        look.limits, look.timeout = ProbeLimits(scratch_dir=Path(sys.argv[1])), timedelta(seconds=60)
        await look(file=sys.argv[2], binaries=sys.argv[3])

asyncio.run(main())
"""


async def test_killed(production: Production, drill: Drill, scratch: Path, postgres: PostgresServer) -> None:
    slow, plain = production.folder / "slow.sql", production.plain()
    slow.write_text(SLOW)
    argv = [sys.executable, "-c", KILLED, str(scratch), str(slow), str(postgres.binaries)]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[3]) as healthd:
        folder = await until_restoring(scratch)
        healthd.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while processes(folder):
        assert time.monotonic() < deadline, "the scratch server outlives healthd"
        await asyncio.sleep(0.05)
    assert folder.exists(), "nobody was left to remove it"
    assert values(await drill(file=str(plain)))["leftovers"] == 0
    assert folder.exists(), "it may be the folder of a drill under way"
    tomorrow = datetime.now(UTC) + timedelta(hours=25)
    assert values(await drill(file=str(plain), now=tomorrow))["leftovers"] == 1
    assert not folder.exists()


async def test_only_what_is_marked_is_removed(production: Production, drill: Drill, scratch: Path) -> None:
    long_ago = json.dumps({"made": "2020-01-01T00:00:00+00:00", "pid": 1})
    kept = [scratch / "healthd-restore-abcdefgh", scratch / "other", scratch / "healthd-restore-bcdefghi"]
    for folder in kept:
        folder.mkdir()
    (kept[1] / "made-by-healthd.json").write_text(long_ago)
    (kept[2] / "made-by-healthd.json").write_text("{}")
    (scratch / "healthd-restore-linklink").symlink_to(kept[1])
    ours = scratch / "healthd-restore-cdefghij"
    ours.mkdir()
    (ours / "made-by-healthd.json").write_text(long_ago)
    assert values(await drill(file=str(production.plain())))["leftovers"] == 1
    assert not ours.exists()
    assert all(folder.exists() for folder in kept)
    subprocess.run(["rm", "-r", *kept, scratch / "healthd-restore-linklink"], check=True)


async def test_drills_are_off_until_a_folder_is_named(production: Production) -> None:
    async with looking(PROBES["restore_drill"]) as look:
        with pytest.raises(ProbeError, match="set HEALTHD_SCRATCH_DIR to a folder") as caught:
            await look(file=str(production.plain()))
    assert caught.value.kind == "forbidden"


async def test_a_folder_that_cannot_be_used(production: Production, postgres: PostgresServer, tmp_path: Path) -> None:
    async with looking(PROBES["restore_drill"]) as look:
        look.limits = ProbeLimits(scratch_dir=tmp_path / "nowhere")
        with pytest.raises(ProbeError, match=r"HEALTHD_SCRATCH_DIR .*/nowhere cannot be used: no such file"):
            await look(file=str(production.plain()), binaries=postgres.binaries)
        with pytest.raises(
            ProbeError, match=rf"\(psql, pg_restore, postgres, initdb\) are not in {tmp_path}"
        ) as caught:
            await look(file=str(production.plain()), binaries=tmp_path)
    assert caught.value.kind == "config"
    assert "steps" in {e.title for e in caught.value.evidence}


async def test_a_folder_the_scratch_user_cannot_enter(production: Production, drill: Drill, scratch: Path) -> None:
    scratch.chmod(0o700)
    with pytest.raises(ProbeError, match=r"the scratch server cannot be made in .*[Pp]ermission denied"):
        await drill(file=str(production.plain()))


async def test_a_path_too_long_for_a_socket(production: Production, postgres: PostgresServer, scratch: Path) -> None:
    deep = scratch / ("long" * 20)
    deep.mkdir()
    async with looking(PROBES["restore_drill"]) as look:
        look.limits, look.timeout = ProbeLimits(scratch_dir=deep), timedelta(seconds=30)
        seen = await look(file=str(production.plain()), binaries=postgres.binaries)
    assert values(seen)["restored"] == 1
    assert "restore: took" in evidence(seen, "steps")
    deep.rmdir()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "either file or s3"),
        ({"file": "/b/*", "s3": {"bucket": "abc"}}, "either file or s3"),
        ({"file": "b/*"}, "not an absolute path"),
        ({"file": "/b/*", "sanity": [{"query": "DELETE FROM users"}]}, "DELETE is not a query"),
        ({"file": "/b/*", "sanity": [{"query": "SELECT 1", "expect": "many"}]}, "is not a condition"),
        ({"file": "/b/*", "compare": {"url": "postgresql://h/d", "tables": ["a;b c"]}}, "is not a table"),
        ({"file": "/b/*", "compare": {"url": "postgresql://h/d", "tables": ["a"], "tolerance": "5MB"}}, "like 5%"),
        ({"file": "/b/*", "space": "12 hours"}, "like 20GB"),
        ({"file": "/b/*", "binaries": "pg/bin"}, "not an absolute path"),
    ],
)
def test_parameters_that_make_no_sense(params: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PROBES["restore_drill"].Params.model_validate(params)
