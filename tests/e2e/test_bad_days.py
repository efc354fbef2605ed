"""What goes wrong around a daemon, and what it does then: a clear message, nothing lost, up again when it can be."""

from __future__ import annotations

import signal
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from healthd.model.outcomes import CheckState
from healthd.store import SqlStore
from healthd.store.base import Commit
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon
from tests.e2e.smallest import LOAD, outcomes, reasons, run
from tests.servers.postgres import PostgresServer

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
        ({"HEALTHD_PORT": "http", "HEALTHD_LEASE": "0s"}, ["HEALTHD_PORT", "HEALTHD_LEASE"]),
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


def test_from_its_first_answer_on_it_answers_readers(new_daemon: NewDaemon) -> None:
    """While it takes up its work it is not ready, and says so; nobody is sent away."""
    checks = "".join(f"  - {{name: c{n}, cron: '0 0 1 1 *', probe: {{type: load}}}}\n" for n in range(1500))
    daemon = new_daemon(f"system: {{name: shop}}\nchecks:\n{checks}").launch()
    said = {daemon.until(lambda: status_of(daemon), 60, "an answer")}
    while not daemon.ready():
        said.add(status_of(daemon))
    assert said == {200}


def status_of(daemon: Daemon) -> int:
    """Of the overview; 0 while nobody listens."""
    try:
        return daemon.http.get("/").status_code
    except httpx.ConnectError:
        return 0


# -- stopped in the middle ---------------------------------------------------------------------------------------------


async def test_sigterm_records_what_runs_and_ends_within_its_grace(new_daemon: NewDaemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        port = silent.getsockname()[1]
        daemon = new_daemon(
            LOAD + f"  - {{name: hangs, title: Hangs, every: 1s, timeout: 60s, probe: {{type: http, url:"
            f" 'http://127.0.0.1:{port}/'}}, thresholds: {{measure: latency, warning: '> 1s'}}}}\n",
            shutdown_grace="2s",
        ).start()  # fmt: skip
        daemon.until(lambda: outcomes(daemon) >= 1, what="running")
        silent.accept()
        began = time.monotonic()
        assert daemon.stop(timeout=60) == 0
        assert time.monotonic() - began < 20  # what hangs would have a minute
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
    why = second.until(lambda: reasons(second), 20, "not ready")
    assert f"belongs to another healthd (process {first.process.pid} " in why
    assert outcomes(second) == 0
    first.kill()
    second.until(second.ready, 20, "taking over")


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
