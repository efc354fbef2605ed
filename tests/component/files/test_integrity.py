"""The probe files: gzip and checksums."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import random
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from healthd.probes.base import ProbeError
from tests.component.files.folders import put
from tests.component.looking import Looker, evidence, values

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
