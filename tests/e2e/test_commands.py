"""The commands as people and programs use them: what they print, and their exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.servers.nginx import NginxServer
from tests.servers.receiver import Receiver

CATALOGUE = """\
system: {name: shop, title: Shop, timezone: Europe/Madrid}
severities: {SEV1: {pagerduty: critical}, SEV3: {pagerduty: warning}}
cadences:
  morning: {on: weekdays, at: "09:00"}
  first-monday: {on: first monday, at: "10:00"}
thresholds:
  web_latency: {measure: latency, target: "< 300ms", warning: ">= 500ms", critical: ">= 1s", for: 10m}
defaults: {severity: SEV1}
checks:
  - {name: web, title: Web, cadence: [morning], every: 1m, probe: {type: http, url: "${SHOP_URL}"},
     thresholds: web_latency}
  - {name: disks, title: Disks, cadence: first-monday, probe: {type: disk},
     thresholds: {measure: used_ratio, warning: ">= 99.9%", critical: ">= 100%"}}
"""


@pytest.fixture
def healthd(tmp_path: Path) -> Any:
    """`healthd("check", "shop/web")` in a folder with the catalogue above."""
    folder = tmp_path / "checks" / "shop"
    folder.mkdir(parents=True)
    (folder / "system.yaml").write_text(CATALOGUE)

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("HEALTHD_")}
        env |= {"SHOP_URL": "http://127.0.0.1:1/", **variables}
        return subprocess.run(
            [sys.executable, "-m", "healthd", *arguments], cwd=tmp_path, env=env, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    run.folder = folder  # type: ignore[attr-defined]
    return run


def test_validate_says_what_is_there_and_what_is_wrong(healthd: Any) -> None:
    good = healthd("validate")
    assert (good.returncode, "2 checks" in good.stdout) == (0, True)
    (healthd.folder / "more.yaml").write_text("checks:\n  - {name: x, evry: 1m, probe: {type: htpp, url: x}}\n")
    bad = healthd("validate")
    assert bad.returncode == 3
    assert "more.yaml:2" in bad.stderr
    assert "every" in bad.stderr
    assert "http" in bad.stderr


def test_a_missing_variable_names_the_check_that_needs_it(healthd: Any) -> None:
    (healthd.folder / "more.yaml").write_text(
        "checks:\n  - {name: x, every: 1m, probe: {type: http, url: '${NOWHERE_SET}'}}\n"
    )
    refused = healthd("validate")
    assert refused.returncode == 3
    assert "NOWHERE_SET" in refused.stderr
    assert "shop/x" in refused.stderr


def test_list_for_people_and_for_programs(healthd: Any) -> None:
    assert "shop/web" in healthd("list").stdout
    (web,) = json.loads(healthd("list", "--cadence", "morning", "--format", "json").stdout)
    assert web["id"] == "shop/web"
    row = next(r for r in web["thresholds"] if r["measure"] == "latency")
    assert (row["target"], row["critical"], row["for"]) == ("< 300ms", ">= 1s", 600.0)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["latency=200ms"], 0, "OK"),
        (["latency=0.5"], 1, "WARNING"),
        (["latency=1s"], 2, "CRITICAL"),
        (["latency=1s", "--held", "9m"], 0, "OK"),
        (["latency=1s", "--held", "10m"], 2, "CRITICAL"),
        (["latency=1GB"], 3, "seconds"),
        (["latensy=1s"], 3, "latency"),
        (["latency"], 3, "measure=value"),
        (["latency=missing"], 3, "not measured"),
        (["up=0"], 2, "CRITICAL"),
        (["up=0", "latency=missing"], 2, "CRITICAL"),
    ],
)
def test_evaluate_judges_without_looking(healthd: Any, arguments: list[str], code: int, word: str) -> None:
    result = healthd("evaluate", "shop/web", *arguments)
    assert result.returncode == code, result.stdout + result.stderr
    assert word in result.stdout + result.stderr


def test_evaluate_shows_every_row_that_judges_a_measure(healthd: Any) -> None:
    """Also the worst one, where another row is content with the value."""
    (healthd.folder / "more.yaml").write_text(
        "checks:\n  - name: queue\n    every: 1m\n    probe: {type: redis_length, url: 'redis://x', key: jobs}\n"
        "    thresholds:\n      - {measure: length, critical: '>= 20 jobs'}\n"
        "      - {name: backlog, measure: length, warning: '> 30 jobs', for: 10m}\n"
    )
    shown = healthd("evaluate", "shop/queue", "length=25")
    assert shown.returncode == 2, shown.stderr
    worst, other = shown.stdout.splitlines()[-2:]
    assert worst.split() == ["length", "25", "CRITICAL", "critical", ">=", "20", "jobs"]
    assert other.split() == ["OK", "warning", ">", "30", "jobs", "for", "10m"]
    verdicts = json.loads(healthd("evaluate", "shop/queue", "length=25", "--format", "json").stdout)["verdicts"]
    assert [(v["row"], v["level"]) for v in verdicts] == [("length", "critical"), ("backlog", "ok")]


def test_check_runs_now_and_its_exit_code_is_the_worst(healthd: Any, nginx: NginxServer) -> None:
    down = healthd("check", "shop/web", "shop/disks")
    assert down.returncode == 2
    assert "connection refused" in down.stdout
    up = healthd("check", "--cadence", "morning", "--format", "json", SHOP_URL=nginx.url + "/")
    assert up.returncode == 0, up.stdout
    (seen,) = json.loads(up.stdout)
    assert {m["name"] for m in seen["measurements"]} >= {"up", "latency", "status"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "--system"),
        (["check", "shop/wbe"], "shop/web"),
        (["check", "--system", "shpo"], "shop"),
        (["chekc"], "check"),
        (["next", "--until", "soon"], "30s"),
        (["next", "--from", "tomorrow"], "2026"),
        (["notify-test"], "HEALTHD_SLACK_WEBHOOK_URL"),
        (["ack", "INC-1"], "healthd run"),
    ],
)
def test_wrong_usage_is_code_3_and_says_what_would_be_right(healthd: Any, arguments: list[str], words: str) -> None:
    result = healthd(*arguments, HEALTHD_PORT="1")
    assert result.returncode == 3
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_check_tells_what_a_probe_remarked_although_all_is_well(healthd: Any) -> None:
    probe = "{type: logs, glob: /nothing-here*.log, patterns: x, read: tail}"
    row = "{measure: matches, critical: '> 0', missing: ok}"
    (healthd.folder / "more.yaml").write_text(
        f"checks:\n  - {{name: lines, every: 1m, probe: {probe}, thresholds: {row}}}\n"
    )
    seen = healthd("check", "shop/lines")
    assert seen.returncode == 0, seen.stderr
    assert "no file is there that fits /nothing-here*.log" in seen.stdout
    (found,) = json.loads(healthd("check", "shop/lines", "--format", "json").stdout)
    assert (found["level"], found["evidence"][0]["title"]) == ("ok", "note")


def test_check_clears_away_behind_itself_when_it_is_ended(healthd: Any, tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/began; mv {tmp_path}/began {tmp_path}/pid; exec sleep 600"
    (healthd.folder / "more.yaml").write_text(
        "checks:\n  - {name: slow, every: 1h, timeout: 10m, probe: {type: command,"
        f" argv: [/bin/sh, -c, '{script}']}}}}\n"
    )
    env = {**os.environ, "SHOP_URL": "http://127.0.0.1:1/", "HEALTHD_ALLOWED_COMMANDS": "/bin/sh"}
    ran = subprocess.Popen([sys.executable, "-m", "healthd", "check", "shop/slow"], cwd=tmp_path, env=env)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pid").exists():
            assert ran.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline, "its program does not start"
            time.sleep(0.02)
        ran.terminate()
        assert ran.wait(60) == 128 + signal.SIGTERM
    finally:
        ran.kill()
    program = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/cmdline")
    while program.exists() and program.read_bytes():  # killed, and perhaps not reaped by anybody
        assert time.monotonic() < deadline, "its program goes on"
        time.sleep(0.02)


def test_next_is_in_the_systems_own_time_and_knows_summer_time(healthd: Any) -> None:
    around_the_change = ["--from", "2026-03-27T00:00:00Z", "--until", "11d", "--format", "json"]
    runs = json.loads(healthd("next", *around_the_change).stdout)
    assert [(r["at"], r["check"]) for r in runs] == [
        ("2026-03-27T08:00:00+00:00", "shop/web"),
        ("2026-03-30T07:00:00+00:00", "shop/web"),
        ("2026-03-31T07:00:00+00:00", "shop/web"),
        ("2026-04-01T07:00:00+00:00", "shop/web"),
        ("2026-04-02T07:00:00+00:00", "shop/web"),
        ("2026-04-03T07:00:00+00:00", "shop/web"),
        ("2026-04-06T07:00:00+00:00", "shop/web"),
        ("2026-04-06T08:00:00+00:00", "shop/disks"),
    ]
    assert "every 1m" in healthd("next").stdout


def test_notify_test_says_whether_it_was_accepted(healthd: Any, receiver: Receiver) -> None:
    slack = {"HEALTHD_SLACK_WEBHOOK_URL": receiver.url + "/slack"}
    accepted = healthd("notify-test", "slack", **slack)
    assert (accepted.returncode, accepted.stdout) == (0, "slack: accepted\n")
    assert "test" in receiver.requests[0].body.decode().lower()
    receiver.script([(404, {}, "no_service")])
    refused = healthd("notify-test", "slack", **slack)
    assert refused.returncode == 2
    assert "404" in refused.stderr


def test_schema_is_one_that_editors_can_use(healthd: Any) -> None:
    schema = json.loads(healthd("schema").stdout)
    assert schema["$schema"].endswith("2020-12/schema")
    assert "checks" in schema["properties"]


def test_help_teaches_every_command(healthd: Any) -> None:
    commands = healthd("--help").stdout
    looking = ("list", "check", "evaluate", "next", "coverage")
    for command in ("run", "validate", *looking, "notify-test", "schema", "sandbox"):
        assert command in commands
        shown = healthd(command, "--help")
        assert (shown.returncode, "Usage:" in shown.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--system", "shpo"), "no system 'shpo'; there is shop"),
        (("list", "--cadence", "mornin"), "no cadence 'mornin'; there is morning"),
        (("next", "--system", "x"), "no system 'x'; there is shop"),
    ],
)
def test_a_filter_that_matches_nothing_is_a_mistake(healthd: Any, arguments: tuple[str, ...], words: str) -> None:
    refused = healthd(*arguments)
    assert (refused.returncode, refused.stdout, refused.stderr) == (3, "", words + "\n")


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "| true"])
@pytest.mark.parametrize("command", ["list", "list --format json", "schema", "validate"])
def test_an_output_nobody_can_read_ends_without_a_traceback(healthd: Any, redirection: str, command: str) -> None:
    shell = f'"{sys.executable}" -m healthd {command} {redirection}'
    folder = healthd.folder.parent.parent
    done = subprocess.run(
        ["sh", "-c", shell], cwd=folder, env={**os.environ, "SHOP_URL": "http://127.0.0.1:1/"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert done.returncode == (3 if redirection == ">/dev/full" else 0), done.stderr
