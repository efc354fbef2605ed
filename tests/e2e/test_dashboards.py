"""Dashboards and rules, asked of a real Prometheus that scrapes a real healthd."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.grafana import build
from healthd.loading import load_catalogue
from healthd.settings import load_settings
from tests.e2e.daemon import Daemon
from tests.servers.process import Process, free_port
from tests.servers.receiver import Receiver

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = build.dashboards()
# series that appear only once something has happened that does not happen here
ABSENT = {"healthd_schedule_missed_total", "healthd_schedule_caught_up_total"}
CHOICES = {"$system": "shop", "$check": "load", "$measure": "load1", "${datasource}": ""}


def names_of(dashboard: str) -> list[str]:
    """The checks a documented dashboard draws."""
    found = re.findall(r'check=~"([^"]*)"', json.dumps(DASHBOARDS[dashboard]).replace('\\"', '"'))
    return sorted({name for names in found for name in names.split("|")})


def catalogue(receiver: str) -> str:
    """One check in order, one that is broken and that nobody acknowledges in time."""
    return f"""
system: {{name: shop}}
severities:
  P1: {{response: 1s, pagerduty: critical}}
  P2: {{pagerduty: warning}}
channels: {{hook: {{type: webhook, url: "{receiver}/", unsigned: true}}}}
checks:
  - name: load
    every: 300ms
    probe: {{type: load}}
    thresholds: {{measure: load1, warning: "> 10000", critical: "> 20000"}}
    severity: P1
    warning_severity: P2
  - name: down
    every: 300ms
    probe: {{type: tcp, host: 127.0.0.1, port: 9}}
    severity: P1
    warning_severity: P2
"""


def documented() -> str:
    """A system that has every check the documented dashboards name."""
    names = {name for dashboard in build.SYNCWATCH for name in names_of(dashboard)}
    row = 'thresholds: {measure: load1, warning: "> 10000"}'
    checks = [f"  - {{name: {name}, every: 1s, probe: {{type: load}}, {row}}}" for name in sorted(names)]
    return "system: {name: syncwatch}\nchecks:\n" + "\n".join(checks) + "\n"


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Queries of a Prometheus that has scraped a healthd for some seconds, with our recording rules."""
    program = shutil.which("prometheus")
    assert program, "no prometheus: install Debian's package (.ci/servers does)"
    folder = tmp_path_factory.mktemp("dashboards")
    with Receiver() as receiver:
        daemon = Daemon(folder, catalogue(receiver.url))
        second = folder / "checks/syncwatch"
        second.mkdir()
        (second / "system.yaml").write_text(documented())
        daemon.start()
        port = free_port()
        (folder / "prometheus.yml").write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
                    "rule_files": [str(DEPLOY / "prometheus/rules.yaml")],
                    "scrape_configs": [
                        {"job_name": "healthd", "static_configs": [{"targets": [f"127.0.0.1:{daemon.port}"]}]}
                    ],
                }
            )
        )
        argv = [
            program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        prometheus = Process(argv, folder / "prometheus.log").start().wait_for_port(port)
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)

        def query(expr: str) -> list[Any]:
            answer = client.get("/api/v1/query", params={"query": expr}).json()
            assert answer["status"] == "success", (expr, answer)
            found: list[Any] = answer["data"]["result"]
            return found

        try:
            daemon.until(lambda: daemon.get("/api/v1/incidents?open=true")["incidents"], what="an incident")
            incident = daemon.get("/api/v1/incidents?open=true")["incidents"][0]["id"]
            daemon.until(lambda: query("healthd_incident_response_breaches_total"), 20, "a breach of the response time")
            daemon.http.post(f"/api/v1/incidents/{incident}/acknowledge", json={"actor": "ann"}).raise_for_status()
            ready = "count_over_time(healthd_incident_ack_seconds_count[1m]) > 3"
            daemon.until(lambda: query(ready), 20, "scraped often enough for a rate")
            yield query
        finally:
            client.close()
            prometheus.stop()
            daemon.kill()


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_of_a_dashboard_has_an_answer(name: str, ask: Any) -> None:
    empty = []
    for panel in DASHBOARDS[name]["panels"]:
        for target in panel["targets"]:
            expr = target["expr"]
            for variable, value in CHOICES.items():
                expr = expr.replace(variable, value)
            deadline = time.monotonic() + 5
            while not (found := ask(expr)) and time.monotonic() < deadline and not _absent(expr):
                time.sleep(0.25)
            if not found and not _absent(expr):
                empty.append((panel["title"], expr))
    assert not empty


def test_the_rules_see_what_is_broken(ask: Any) -> None:
    (alert,) = ask('ALERTS{alertname="HealthdCheckCritical"}')
    assert (alert["metric"]["system"], alert["metric"]["check"]) == ("shop", "down")
    assert ask('ALERTS{alertname="Watchdog", alertstate="firing"}')
    assert not ask('ALERTS{alertname=~"HealthdDown|HealthdNotReady|HealthdNoLeader|HealthdReloadFailed"}')
    assert ask("system:healthd_checks:count")


@pytest.mark.parametrize("name", build.SYNCWATCH)
def test_a_documented_dashboard_draws_checks_that_exist(name: str) -> None:
    known = load_catalogue(load_settings({"HEALTHD_CHECKS": str(DEPLOY.parent / "checks/syncwatch")})).checks
    assert not [check for check in names_of(name) if f"syncwatch/{check}" not in known]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_files_are_what_the_code_makes(name: str) -> None:
    for folder in ("grafana", "helm/healthd/files"):
        assert json.loads((DEPLOY / folder / f"{name}.json").read_text()) == DASHBOARDS[name]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] + grid["w"] <= 24
        assert not cells & taken
        taken |= cells


def _absent(expr: str) -> bool:
    return any(metric in expr for metric in ABSENT)
