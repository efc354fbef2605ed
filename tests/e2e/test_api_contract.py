"""The API against its own description, by a tool that knows neither: every check of Schemathesis, none left out."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import TOKEN, Daemon

CATALOGUE = """\
system: {name: shop, title: Shop}
severities: {SEV1: {}, SEV3: {}}
cadences: {round: {every: 2s, title: Round}}
attestations:
  drill: {title: Restore drill, cadence: round, due: 500ms, severity: SEV3, who: on-call}
checks:
  - {name: load, title: Load, cadence: round, probe: {type: load}, severity: SEV3,
     thresholds: {measure: load1, warning: "> 10000"}}
  - {name: stock, title: Stock is there, every: 5s, probe: {type: files, glob: "/proc/*.none"}, severity: SEV1,
     thresholds: {measure: count, critical: "< 1"}}
"""
CHANGES = {"silence", "add window", "reload"}


def schemathesis(daemon: Daemon, *options: str) -> subprocess.CompletedProcess[str]:
    """`schemathesis run`, as anybody would. What it makes up is the same each time."""
    program = str(Path(sysconfig.get_path("scripts")) / "schemathesis")
    argv = [
        program, "run", f"{daemon.url}/api/openapi.json", "--checks", "all", "--generation-deterministic",
        "--no-color", "--continue-on-failure", "--request-timeout", "60", *options,
    ]  # fmt: skip
    return subprocess.run(argv, cwd=daemon.folder, env=os.environ, capture_output=True, text=True, check=False)


def inhabited(daemon: Daemon) -> bool:
    """Whether there is what comes by itself."""
    return all(daemon.get(f"/api/v1/{name}")[name] for name in ("incidents", "attestations"))


@pytest.mark.timeout(300)
def test_what_the_api_says_of_itself_is_true(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(CATALOGUE, reload_watch="false").start()
    daemon.until(lambda: inhabited(daemon), 60, "an incident and a task")
    done = schemathesis(daemon, "-n", "2", "-H", f"Authorization: Bearer {TOKEN}")
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert not daemon.events("request_failed")
    made = {entry["action"] for entry in daemon.get("/api/v1/audit?limit=500")["entries"]}
    assert made >= CHANGES, f"never got as far as {CHANGES - made}"
