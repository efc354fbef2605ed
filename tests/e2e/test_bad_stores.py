"""What goes wrong with the store of a running daemon: it says so, loses nothing, and is up again when it can be."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from healthd.store import SqlStore
from tests.e2e.conftest import NewDaemon
from tests.e2e.smallest import LOAD, outcomes, reasons
from tests.servers.postgres import PostgresServer


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A volume of 3 MB that can be filled or made read-only."""
    folder = tmp_path / "volume"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.fail("needs root to mount a small volume", pytrace=False)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "healthd-test", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_is_said_so_and_nothing_is_lost(new_daemon: NewDaemon, small_volume: Path) -> None:
    daemon = new_daemon(LOAD, database_url=f"sqlite:///{small_volume}/healthd.db").start()
    daemon.until(lambda: outcomes(daemon) >= 1, what="running")
    filler = small_volume / "filler"
    _fill(filler)
    try:
        why = daemon.until(lambda: daemon.http.get("/readyz").json()["reasons"], 20, "not ready")
        assert "full" in why[0]
        assert "healthd.db" in why[0]
        ran = outcomes(daemon)
        daemon.until(lambda: outcomes(daemon) > ran, what="still running checks and exposing them")
        assert (daemon.metric("healthd_store_unsaved_outcomes") or 0) > 0
    finally:
        filler.unlink()
    daemon.until(daemon.ready, 20, "ready again")
    assert daemon.metric("healthd_store_unsaved_outcomes") == 0
    assert daemon.metric("healthd_store_lost_outcomes_total") == 0
    total = outcomes(daemon)
    daemon.stop()
    store = SqlStore(f"sqlite:///{small_volume}/healthd.db")
    await store.open()
    try:
        assert len(await store.outcomes("shop/load", limit=10_000)) >= total
    finally:
        await store.close()


def _fill(path: Path) -> None:
    """Write until nothing fits any more."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(handle, b"0" * 4096)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(handle)


def test_a_read_only_volume_is_said_so(new_daemon: NewDaemon, small_volume: Path) -> None:
    daemon = new_daemon(LOAD, database_url=f"sqlite:///{small_volume}/healthd.db")
    daemon.start()
    daemon.stop()
    subprocess.run(["mount", "-o", "remount,ro", small_volume], check=True)
    daemon.launch()
    why = daemon.until(lambda: reasons(daemon), 20, "not ready")
    assert "read-only" in why
    subprocess.run(["mount", "-o", "remount,rw", small_volume], check=True)
    daemon.until(daemon.ready, 20, "ready without a restart")


def test_postgresql_going_away_and_coming_back(new_daemon: NewDaemon, postgres: PostgresServer) -> None:
    daemon = new_daemon(LOAD, database_url=postgres.create_database()).start()
    daemon.until(lambda: outcomes(daemon) >= 1, what="running")
    postgres.stop()
    try:
        daemon.until(lambda: not daemon.ready(), 20, "not ready")
        ran = outcomes(daemon)
        daemon.until(lambda: outcomes(daemon) > ran, what="still running")
    finally:
        postgres.start()
    daemon.until(daemon.ready, 30, "ready again")
    assert daemon.metric("healthd_store_lost_outcomes_total") == 0
    assert daemon.stop() == 0


def test_a_store_that_is_away_at_start_is_waited_for(new_daemon: NewDaemon, postgres: PostgresServer) -> None:
    url = postgres.create_database()
    postgres.stop()
    try:
        daemon = new_daemon(LOAD, database_url=url).launch()
        why = daemon.until(lambda: reasons(daemon), 20, "not ready")
        assert "refused" in why
        assert postgres.password not in daemon.log.read_text() + why
        assert daemon.http.get("/healthz").status_code == 200
    finally:
        postgres.start()
    daemon.until(daemon.ready, 30, "ready")


def test_a_wrong_database_password_is_said_without_the_password(
    new_daemon: NewDaemon, postgres: PostgresServer
) -> None:
    url = postgres.create_database().replace(postgres.password, "not-the-password")
    daemon = new_daemon(LOAD, database_url=url).launch()
    daemon.until(lambda: "password" in daemon.log.read_text(), what="said")
    assert "not-the-password" not in daemon.log.read_text()


def test_a_database_that_hangs_holds_up_neither_checks_nor_the_end(
    new_daemon: NewDaemon, postgres: PostgresServer
) -> None:
    daemon = new_daemon(LOAD, database_url=postgres.create_database(), shutdown_grace="2s").start()
    daemon.until(lambda: outcomes(daemon) >= 1, what="running")
    postgres.freeze()
    try:
        why = daemon.until(lambda: reasons(daemon), 20, "not ready")
        assert "has not answered a commit" in why
        ran = outcomes(daemon)
        daemon.until(lambda: outcomes(daemon) > ran + 1, what="still running")
        assert daemon.metric("healthd_store_unsaved_outcomes")
        postgres.thaw()
        daemon.until(daemon.ready, 20, "ready again")
        assert daemon.metric("healthd_store_lost_outcomes_total") == 0
        assert daemon.events("check_overdue") == []
        postgres.freeze()
        daemon.until(lambda: not daemon.ready(), 20, "not ready")
        began = time.monotonic()
        assert daemon.stop(timeout=60) == 0
        assert time.monotonic() - began < 25  # a pod has 30 s
        assert daemon.events("outcomes_not_saved")
    finally:
        postgres.thaw()


def test_a_deleted_database_is_said_so(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(LOAD).start()
    (daemon.folder / "healthd.db").unlink()
    why = daemon.until(lambda: reasons(daemon), 10, "not ready")
    assert "was deleted, moved or replaced" in why


def test_a_damaged_row_is_left_and_keeps_nothing_else_from_working(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(LOAD).start()
    daemon.until(lambda: daemon.metric("healthd_check_last_run_timestamp_seconds"), what="looked at")
    assert daemon.stop() == 0
    with closing(sqlite3.connect(daemon.folder / "healthd.db")) as connection:
        connection.execute("UPDATE healthd_states SET body = '{\"rows\": 7'")
        connection.execute("UPDATE healthd_outcomes SET body = '[]'")
        connection.commit()
    daemon.start()
    assert {e["what"] for e in daemon.events("row_unreadable")} == {"state", "outcome"}
    daemon.until(lambda: daemon.metric("healthd_check_last_run_timestamp_seconds"), what="looked at again")
