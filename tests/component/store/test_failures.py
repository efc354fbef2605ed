"""Whatever is wrong with a SQLite file or its disk: one error that names the path and says what to do."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from healthd.store import SqlStore
from healthd.store.base import Commit, StoreError
from tests.component.store.examples import outcome

ROOT = Path(__file__).parents[3]
SCRIPT = "tests.component.store.failure_script"


def script(*arguments: str, volume: Path | None = None) -> dict[str, Any]:
    """Run it; on a volume of 1 MB of its own if asked for, in a mount namespace that vanishes with the process."""
    argv = [sys.executable, "-m", SCRIPT, *arguments]
    if volume is not None:
        unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
        argv = [*unshare, "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"', str(volume), *argv]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv[0]} failed (mounting needs root or user namespaces):\n{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def refused(url: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await SqlStore(url).open()
    return caught.value


def test_a_full_disk_is_named_and_room_made_on_it_is_used(tmp_path: Path) -> None:
    found = script("full", str(tmp_path), volume=tmp_path)
    assert "no space left" in found["reason"]
    assert "bytes free" in found["reason"]
    assert str(tmp_path) in found["reason"]
    assert found["transient"]
    assert found["acknowledged"] > 10
    assert found["readable"] == found["acknowledged"]
    assert found["after"] == 20
    assert found["kept"] == found["acknowledged"] + 20


def test_a_read_only_volume_is_named_and_used_again_when_it_is_writable(tmp_path: Path) -> None:
    found = script("readonly", str(tmp_path), volume=tmp_path)
    for name in ("existing", "new"):
        assert "mounted read-only" in found[name]["reason"], name
        assert str(tmp_path) in found[name]["reason"]
    assert found["after"] == 3


@pytest.mark.parametrize(
    ("locked", "words"),
    [("folder", "no permission to write in the folder"), ("above", "no permission to reach"), ("file", "and write")],
)
def test_missing_permission_names_what_and_who(open_path: Path, locked: str, words: str) -> None:
    above = open_path / "above"
    folder = above / "folder"
    folder.mkdir(parents=True)
    (folder / "healthd.db").touch()
    modes = {"folder": (0o555, 0o755, 0o666), "above": (0o777, 0o600, 0o666), "file": (0o777, 0o755, 0o400)}
    for path, mode in zip((folder, above, folder / "healthd.db"), modes[locked], strict=True):
        path.chmod(mode)
    try:
        found = script("user", f"sqlite:///{folder / 'healthd.db'}")
    finally:
        above.chmod(0o755)
    assert words in found["reason"]
    assert "runs as user" in found["reason"]
    assert found["transient"] is False


async def test_a_missing_folder(tmp_path: Path) -> None:
    error = await refused(f"sqlite:///{tmp_path / 'none' / 'healthd.db'}")
    assert error.reason == f"the folder {tmp_path / 'none'} of healthd.db does not exist: create it"
    assert not error.transient


async def test_a_folder_where_a_file_should_be(tmp_path: Path) -> None:
    error = await refused(f"sqlite:///{tmp_path}")
    assert error.reason.startswith(f"{tmp_path} is a folder: name a file in it")


async def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = await refused(f"sqlite:///{tmp_path / 'file' / 'healthd.db'}")
    assert "is not a folder" in error.reason


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, " * 500)
    error = await refused(f"sqlite:///{path}")
    assert error.reason.startswith(f"{path} is not a SQLite database")
    assert not error.transient
    assert path.read_text() == "Dear Sir or Madam, " * 500


async def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "healthd.db"
    store = SqlStore(f"sqlite:///{path}")
    await store.open()
    await store.commit(Commit(outcomes=tuple(outcome(f"shop/{n}", value=1.0) for n in range(2000))))
    await store.close()
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)

    async def use() -> None:
        await store.open()
        await store.latest()

    with pytest.raises(StoreError, match=r"is damaged.*restore a backup") as caught:
        await use()
    assert not caught.value.transient
    await store.close()


async def test_a_database_locked_by_another_process_is_waited_for_then_named(tmp_path: Path) -> None:
    path = tmp_path / "healthd.db"
    store = SqlStore(f"sqlite:///{path}")
    await store.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = asyncio.get_running_loop().time()
    commits = [asyncio.create_task(store.commit(Commit((outcome(f"shop/{n}"),)))) for n in range(50)]
    errors = await asyncio.gather(*commits, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began < 8  # nobody waits for the lock twice
    assert {str(e) for e in errors} == {
        f"{path} is locked by another process for more than 5 s: stop the other healthd or whatever else writes to it"
    }
    assert all(isinstance(e, StoreError) and e.transient for e in errors)
    assert await store.latest() == {}
    other.execute("ROLLBACK")
    other.close()
    await store.commit(Commit((outcome(),)))
    await store.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "is empty.*sqlite:///file.db"),
        ("healthd.db", "bare path: write sqlite:///healthd.db"),
        ("/var/lib/healthd.db", "bare path: write sqlite:////var/lib/healthd.db"),
        ("mysql://root:hunter22@db/x", "begins with mysql:, which is not supported.*postgresql://"),
        ("sqlite:healthd.db", "not complete: write sqlite:///file.db"),
        ("sqlite://healthd.db", "too few slashes"),
        ("sqlite://var/lib/healthd.db", "too few slashes.*four slashes"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "must outlive the process"),
        ("sqlite:///x.db?mode=ro", "takes no options"),
        ("postgresql:", "not complete|cannot be read"),
        ("postgresql://kim:hunter22@[::1/x", "cannot be read: write postgresql://user"),
        ("postgresql://kim:hunter22@db/x?nonsense=1", "cannot be read"),
        ("postgresql+asyncpg://kim:hunter22@db/x", "not supported.*postgresql://"),
    ],
)
def test_a_wrong_url_says_what_would_be_right(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        SqlStore(url)
    assert not caught.value.transient
    assert "hunter22" not in caught.value.reason


async def test_a_relative_path_and_the_schemes_people_write(tmp_path: Path, postgres: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    server = postgres.create_database().removeprefix("postgresql://")
    for url in ("sqlite:///relative.db", f"postgres://{server}", f"postgresql+psycopg://{server}?sslmode=disable"):
        store = SqlStore(url)
        await store.open()
        await store.close()
    assert (tmp_path / "relative.db").exists()
