"""The smallest daemon that does something: one check, once a second; and what is asked of it."""

from __future__ import annotations

import subprocess
import sys

import httpx

from tests.e2e.daemon import Daemon

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


def reasons(daemon: Daemon) -> str:
    """Why it is not ready, from whoever says it: the daemon, or its last words."""
    try:
        answer = daemon.http.get("/readyz")
    except httpx.TransportError:
        return ""
    found = [reason for reason in answer.json()["reasons"] if reason != "starting"]
    return " ".join(found) if answer.status_code == 503 else ""
