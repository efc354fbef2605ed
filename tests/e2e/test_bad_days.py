"""What goes wrong around a daemon, and what it does then: a clear message, nothing lost, up again when it can be."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from healthd.model.outcomes import CheckState
from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon
from tests.servers.postgres import PostgresServer

LOAD = """\
system: {name: shop}
severities: {SEV1: {}}
defaults: {severity: SEV1}
checks:
  - {name: load, title: Load, every: 1s, probe: {type: load}, thresholds: {measure: load1, warning: "> 1000"}}
"""


def run(daemon: Daemon, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a daemon that is expected to refuse to."""
    env = daemon.environment() | settings
    return subprocess.run(
        [sys.executable, "-m", "healthd", "run"], env=env, cwd=daemon.folder, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip


def outcomes(daemon: Daemon, check_id: str = "shop/load") -> float:
    return daemon.metric("healthd_check_runs_total", check=check_id.partition("/")[2], status="ok") or 0


# -- refused at the door -----------------------------------------------------------------------------------------------


def test_a_bad_catalogue_at_start_names_every_mistake(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(LOAD.replace("every: 1s", "every: 1 parsec").replace("load1", "lod1"))
    refused = run(daemon)
    assert refused.returncode == 3
    assert "system.yaml:5" in refused.stderr
    assert "load1" in refused.stderr  # the nearest right measure
    assert "parsec" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"HEALTHD_PROT": "1"}, ["HEALTHD_PROT", "HEALTHD_PORT"]),
        ({"HEALTHD_PORT": "http"}, ["HEALTHD_PORT"]),
        ({"HEALTHD_TOKEN_FILE": "/nowhere", "HEALTHD_TOKEN": ""}, ["HEALTHD_TOKEN_FILE", "/nowhere"]),
        ({"HEALTHD_DATABASE_URL": "mysql://x/y"}, ["HEALTHD_DATABASE_URL", "postgresql://"]),
        ({"HEALTHD_WEBHOOK_URL": "http://127.0.0.1:1/"}, ["HEALTHD_WEBHOOK_SECRET"]),
        ({"HEALTHD_TOKEN_FILE": sys.executable, "HEALTHD_TOKEN": ""}, ["HEALTHD_TOKEN_FILE", "UTF-8"]),
        ({"HEALTHD_CONFIG": sys.executable}, ["HEALTHD_CONFIG", "UTF-8"]),
        ({"HEALTHD_CONCURRENCY": '{"http": 0}'}, ["HEALTHD_CONCURRENCY", "greater than or equal to 1"]),
        ({"HEALTHD_CONCURRENCY": '{"htpp": 5}'}, ["HEALTHD_CONCURRENCY", "did you mean http?"]),
        ({"HEALTHD_PUBLIC_URL": "healthd.example"}, ["HEALTHD_PUBLIC_URL", "https://"]),
        ({"HEALTHD_SLACK_WEBHOOK_URL": "not a url"}, ["HEALTHD_SLACK_WEBHOOK_URL"]),
        ({"HEALTHD_CHECKS": "/no/such/folder"}, ["/no/such/folder", "HEALTHD_CHECKS"]),
    ],
)
def test_settings_that_cannot_be_used_are_named(
    new_daemon: NewDaemon, settings: dict[str, str], words: list[str]
) -> None:
    refused = run(new_daemon(LOAD), **settings)
    assert refused.returncode == 3
    assert all(word in refused.stderr for word in words), refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_port_in_use_is_said_so(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(LOAD)
    with socket.create_server(("127.0.0.1", daemon.port)):
        refused = run(daemon)
    assert refused.returncode == 3
    assert str(daemon.port) in refused.stderr
    assert "in use" in refused.stderr


# -- stopped in the middle ---------------------------------------------------------------------------------------------


async def test_sigterm_records_what_runs_and_ends_within_its_grace(new_daemon: NewDaemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        port = silent.getsockname()[1]
        daemon = new_daemon(
            LOAD + f"  - {{name: hangs, title: Hangs, every: 1s, timeout: 60s, probe: {{type: http, url:"
            f" 'http://127.0.0.1:{port}/'}}, thresholds: {{measure: latency, warning: '> 1s'}}}}\n",
            shutdown_grace="5s",
        ).start()  # fmt: skip
        daemon.until(lambda: outcomes(daemon) >= 1, what="running")
        silent.accept()
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 6
    store = SqlStore(f"sqlite:///{daemon.folder / 'healthd.db'}")
    await store.open()
    try:
        cut = (await store.outcomes("shop/hangs"))[0]
        assert (cut.error_kind, "stopped" in cut.reason) == ("stopped", True)
        state = (await store.states()).get("shop/hangs")
        assert state is None or state.unknown_count == 0  # it says nothing of the check
    finally:
        await store.close()


async def test_a_calendar_run_missed_while_down_is_caught_up_once_and_marked_late(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(
        "system: {name: shop}\nseverities: {SEV1: {}}\ncadences: {hourly: {cron: '0 * * * *', grace: 2h}}\nchecks:\n"
        "  - {name: load, title: Load, cadence: hourly, probe: {type: load}, severity: SEV1,"
        " thresholds: {measure: load1, warning: '> 1000'}}\n"
    )
    daemon.start()
    daemon.kill()
    path = f"sqlite:///{daemon.folder / 'healthd.db'}"
    store = SqlStore(path)
    await store.open()
    (mark,) = await store.marks()
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await store.commit(Commit(marks={mark: hour - timedelta(hours=5)}))
    await store.close()
    daemon.start()
    daemon.until(lambda: outcomes(daemon) == 1, what="caught up")
    assert daemon.metric("healthd_schedule_missed_total", system="shop") == 4
    assert daemon.metric("healthd_schedule_caught_up_total", system="shop") == 1
    daemon.kill()
    daemon.start()  # and once only
    store = SqlStore(path)
    await store.open()
    try:
        (seen,) = await store.outcomes("shop/load")
        assert (seen.late, seen.trigger, seen.due, seen.cadence) == (True, "catch-up", hour, "hourly")
    finally:
        await store.close()


# -- the store ---------------------------------------------------------------------------------------------------------


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
    why = daemon.until(lambda: _reasons(daemon), 20, "not ready")
    assert "read-only" in why
    subprocess.run(["mount", "-o", "remount,rw", small_volume], check=True)
    daemon.until(daemon.ready, 20, "ready without a restart")


def _reasons(daemon: Daemon) -> str:
    """Why it is not ready, from whoever says it: the daemon, or its last words."""
    try:
        answer = daemon.http.get("/readyz")
    except Exception:
        return ""
    reasons = [reason for reason in answer.json()["reasons"] if reason != "starting"]
    return " ".join(reasons) if answer.status_code == 503 else ""


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
        why = daemon.until(lambda: _reasons(daemon), 20, "not ready")
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
        why = daemon.until(lambda: _reasons(daemon), 20, "not ready")
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
        assert daemon.stop() == 0
        assert time.monotonic() - began < 14
        assert daemon.events("outcomes_not_saved")
    finally:
        postgres.thaw()


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_secrets_appear_nowhere(new_daemon: NewDaemon, postgres: PostgresServer) -> None:
    secrets = {"DB": "s3cr3t-database", "HTTP": "s3cr3t-bearer", "CHANNEL": "s3cr3t-channel"}
    catalogue = f"""\
system: {{name: shop}}
severities: {{SEV1: {{}}}}
defaults: {{severity: SEV1}}
checks:
  - name: db
    title: Database
    every: 1s
    probe: {{type: postgres, url: "${{DB_URL}}"}}
    unknown: {{after: 1, level: critical}}
    thresholds: {{measure: latency, warning: "> 1s"}}
  - name: api
    title: API
    every: 1s
    probe: {{type: http, url: "http://user:${{HTTP_TOKEN}}@127.0.0.1:{postgres.port}/?token=${{HTTP_TOKEN}}"}}
    thresholds: {{measure: latency, warning: "> 1s"}}
"""
    daemon = new_daemon(
        catalogue,
        ENV_DB_URL=f"postgresql://healthd:{secrets['DB']}@127.0.0.1:{postgres.port}/postgres",
        ENV_HTTP_TOKEN=secrets["HTTP"],
        slack_webhook_url=f"http://127.0.0.1:1/services/{secrets['CHANNEL']}",
        log_level="debug",
    ).start()
    daemon.until(lambda: daemon.metric("healthd_check_firing", check="db") == 1, what="db fires")
    daemon.until(lambda: daemon.metric("healthd_check_firing", check="api") == 1, what="api fires")
    daemon.until(lambda: daemon.metric("healthd_notifications_total", outcome="retried"), what="refused")
    seen = daemon.metrics() + daemon.http.get("/").text
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: daemon.events("reloaded"), what="reloaded")
    daemon.stop()
    seen += daemon.log.read_text()
    stored = b"".join(p.read_bytes() for p in daemon.folder.glob("healthd.db*"))
    for secret in secrets.values():
        assert secret not in seen
        assert secret.encode() not in stored


async def test_a_state_of_a_removed_check_does_not_come_back(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(LOAD)
    store = SqlStore(f"sqlite:///{daemon.folder / 'healthd.db'}")
    await store.open()
    await store.commit(Commit(states=(CheckState("shop/gone"),)))
    await store.close()
    daemon.start()
    assert daemon.metric("healthd_check_status", check="gone") is None


# -- held up, started twice --------------------------------------------------------------------------------------------


def test_a_process_that_was_held_up_looks_before_it_alerts(new_daemon: NewDaemon, tmp_path: Path) -> None:
    """SIGSTOP stands for a paused virtual machine: what is overdue or pending by then gets a look first."""
    page = tmp_path / "page"
    page.write_text("x")
    daemon = new_daemon(
        LOAD.replace("every: 1s", "every: 1s, grace: 1s")
        + f"  - {{name: page, every: 10m, probe: {{type: files, glob: {page}}},"
        ' thresholds: {measure: newest_size, warning: "= 0", for: 3s}}\n'
    ).start()
    daemon.until(lambda: outcomes(daemon) >= 1, what="running")
    page.write_text("")
    assert daemon.http.post("/api/v1/checks/shop/page/run").status_code == 200
    page.write_text("x")  # a blip, over before its `for:`
    daemon.signal(signal.SIGSTOP)
    time.sleep(4.5)
    daemon.signal(signal.SIGCONT)
    ran = outcomes(daemon)
    daemon.until(lambda: outcomes(daemon) > ran + 1, what="running again")
    assert daemon.events("check_overdue") == []
    assert daemon.events("incident_opened") == []
    assert daemon.metric("healthd_check_status", check="page") == 0


def test_a_second_daemon_on_the_same_file_waits_and_says_for_whom(new_daemon: NewDaemon) -> None:
    first = new_daemon(LOAD).start()
    second = new_daemon(LOAD, database_url=f"sqlite:///{first.folder / 'healthd.db'}").launch()
    assert first.process is not None
    why = second.until(lambda: _reasons(second), 20, "not ready")
    assert f"belongs to another healthd (process {first.process.pid} " in why
    assert outcomes(second) == 0
    first.kill()
    second.until(second.ready, 20, "taking over")


def test_a_deleted_database_is_said_so(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(LOAD).start()
    (daemon.folder / "healthd.db").unlink()
    why = daemon.until(lambda: _reasons(daemon), 10, "not ready")
    assert "was deleted, moved or replaced" in why


def test_reload_signals_from_the_first_moment_end_nothing(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(LOAD).launch()

    def nagged() -> bool:
        daemon.signal(signal.SIGHUP)
        return daemon.ready()

    assert daemon.process is not None
    commands = Path(f"/proc/{daemon.process.pid}/status")
    ignoring = 1 << (signal.SIGHUP - 1)
    daemon.until(lambda: _mask(commands) & ignoring, 10, "heeding SIGHUP")
    daemon.until(nagged, 20, "ready")
    daemon.until(lambda: daemon.events("reloaded"), what="reloaded")


def _mask(status: Path) -> int:
    """The signals a process ignores or catches."""
    masks = [line.split() for line in status.read_text().splitlines() if line.startswith(("SigIgn:", "SigCgt:"))]
    return sum(int(value, 16) for _, value in masks)


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
