"""`route-test` and templates of `notify-test`, as people use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers.receiver import Receiver

CATALOGUE = """\
system: {name: shop, title: Shop, timezone: Europe/Madrid}
severities: {SEV1: {pagerduty: critical}, SEV3: {pagerduty: warning}, SEV4: {pagerduty: info}}
cadences: {morning: {on: weekdays, at: "09:00"}}
defaults: {severity: SEV1, warning_severity: SEV4}
checks:
  - {name: web, title: Web, cadence: [morning], probe: {type: disk}, labels: {team: data},
     thresholds: {measure: used_ratio, warning: ">= 99.9%", critical: ">= 100%"}}
"""
ROUTES = """\
channels:
  team: {type: slack, webhook_url: "${TEAM_URL}"}
  pager: {type: pagerduty, routing_key: "12345678901234567890123456789012"}
routes:
  - {severities: [SEV1], channels: [pager]}
  - {labels: {team: data}, severities: [SEV4], channels: [team], hours: "mon-fri 09:00-18:00"}
  - {kinds: [report], channels: [team, pager, slack], continue: false}
  - {channels: [team], levels: [unknown]}
"""


@pytest.fixture
def healthd(tmp_path: Path, receiver: Receiver) -> Any:
    """`healthd("route-test", ...)` in a folder with the catalogue above."""
    folder = tmp_path / "checks"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "system.yaml").write_text(CATALOGUE)
    (folder / "routes.yaml").write_text(ROUTES)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("HEALTHD_")}
        env["TEAM_URL"] = f"{receiver.url}/verysecretpath"
        return subprocess.run(
            [sys.executable, "-m", "healthd", *arguments], cwd=tmp_path, env=env, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    run.folder = tmp_path  # type: ignore[attr-defined]
    return run


def test_route_test_says_where_and_why(healthd: Any) -> None:
    critical = healthd("route-test", "--check", "web")
    assert critical.returncode == 0, critical.stderr
    assert "told: pager\n" in critical.stdout
    assert "no: severities" in critical.stdout
    held = healthd("route-test", "--check", "shop/web", "--level", "warning", "--at", "2026-01-03T12:00")
    assert "held until 2026-01-05 08:00 UTC" in held.stdout
    assert "told: team (from Mon 2026-01-05 09:00 CET)" in held.stdout
    now = healthd("route-test", "--check", "web", "--level", "warning", "--at", "2026-01-05T09:00", "--format", "json")
    assert json.loads(now.stdout)["channels"] == ["team"]
    assert json.loads(now.stdout)["held"] == {}


def test_route_test_of_a_notice_and_of_what_nobody_hears(healthd: Any) -> None:
    report = healthd("route-test", "--system", "shop", "--kind", "report", "--cadence", "morning")
    assert "told: team\n" in report.stdout
    assert "pager: does not take this" in report.stdout
    assert "slack: not configured" in report.stdout
    assert "not tried" in report.stdout
    nobody = healthd("route-test", "--severity", "SEV3")
    assert nobody.returncode == 1
    assert "told: nobody" in nobody.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--system", "shp"), "there is shop"),
        (("--check", "shop/wep"), "did you mean"),
        (("--at", "noon"), "is not a time"),
        (("--label", "team"), "expected name=value"),
        (("--kind", "report", "--check", "web"), "is about no check"),
    ],
)
def test_what_route_test_refuses(healthd: Any, arguments: tuple[str, ...], words: str) -> None:
    refused = healthd("route-test", *arguments)
    assert refused.returncode == 3
    assert words in refused.stderr


def test_hours_that_are_none_are_refused_with_their_line(healthd: Any) -> None:
    (healthd.folder / "checks" / "routes.yaml").write_text('routes:\n  - {channels: [slack],\n     hours: "9 to 5"}\n')
    refused = healthd("validate")
    assert refused.returncode == 3
    assert "routes.yaml:2" in refused.stderr
    assert "mon-fri 09:00-18:00" in refused.stderr


def test_a_template_is_previewed_and_tried(healthd: Any, receiver: Receiver) -> None:
    file = healthd.folder / "message.j2"
    file.write_text("{{ incident.severity }}: {{ incident.title }}\n*{{ likely_cause }}*\n")
    shown = healthd("notify-test", "team", "--template", "message.j2", "--dry-run")
    assert (shown.returncode, shown.stdout) == (0, "team: SEV2: The shop is slow\n\n*Redis uses 97% of its memory*\n")
    assert receiver.requests == []
    sent = healthd("notify-test", "team", "--template", "message.j2")
    assert sent.stdout == "team: accepted\n"
    assert receiver.requests[0].json["text"] == "[Test] SEV2: The shop is slow"
    file.write_text("x\n{{ nope.foo }}\n")
    failed = healthd("notify-test", "team", "--template", "message.j2")
    assert failed.returncode == 2
    assert "'nope' is undefined" in failed.stderr
    missing = healthd("notify-test", "team", "--template", "nowhere.j2")
    assert (missing.returncode, missing.stderr) == (3, "cannot read nowhere.j2: No such file or directory\n")


def test_without_a_template_the_channels_own_message_is_shown(healthd: Any) -> None:
    shown = healthd("notify-test", "team", "--dry-run")
    assert "Firing (CRITICAL): The Shop: The shop is slow" in shown.stdout
