"""A daemon that watches a small shop, for the tests of its pages and its API. One per module: it takes a second."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.daemon import Daemon
from tests.servers.receiver import Answer, Receiver, Request

HOSTILE = '<img src=x onerror="alert(1)">'


class Shop:
    """What is watched: an API, a metrics store. `state` is what the API says of itself."""

    def __init__(self) -> None:
        self.state = "ready"
        self.down = False
        self.server = Receiver()
        self.server.decide(self._answer)

    def _answer(self, request: Request) -> Answer:
        if self.down:
            return 500
        if request.path.startswith("/api/v1/query"):
            series = [
                {"metric": {"pod": f"pod-{HOSTILE}-{i}"}, "value": [time.time(), str(0.2 + i / 10)]} for i in (0, 1)
            ]
            data = {"status": "success", "data": {"resultType": "vector", "result": series}}
            return (200, {"Content-Type": "application/json"}, json.dumps(data))
        return (200, {"Content-Type": "application/json"}, json.dumps({"state": self.state}))


def catalogue(url: str) -> str:
    """Checks of every kind a page has to show; names and values that would be markup if they were not escaped."""
    return f"""\
system:
  name: shop
  title: "Shop <script>alert('system')</script>"
  timezone: Europe/Berlin
  runbook_url: "javascript:alert('runbook')"
severities:
  SEV1: {{title: "Critical <b>", pagerduty: critical, response: 15m}}
  SEV3: {{title: Minor, pagerduty: warning}}
cadences:
  morning: {{on: weekdays, at: "08:00", title: Morning round}}
  yearly: {{cron: "0 9 29 2 *"}}
playbooks:
  deploy: {{title: How to deploy, remediation: [{{title: Deploy, command: make deploy}}]}}
  api-down:
    title: "The API does not answer <i>"
    symptoms: ["Customers see <h1>an error</h1>"]
    likely_cause: A deployment
    diagnostics:
      - {{title: Look at the pods, command: "kubectl get pods | grep '<none>'"}}
    remediation:
      - {{when: it was deployed just now, title: Roll back, command: kubectl rollout undo deployment/shop}}
checks:
  - name: api
    title: "The API answers <script>alert('check')</script>"
    description: "Described with <em>markup</em>"
    every: 1s
    timeout: 900ms
    probe:
      type: http
      url: "{url.replace("//", "//probe:hunter2secret@")}/health"
      headers: {{Authorization-Token: sk-topsecret}}
      extract: {{state: $.state}}
    thresholds:
      - {{measure: latency, target: "< 300ms", warning: ">= 5s", critical: ">= 10s"}}
      - {{measure: state, target: "= ready", critical: "!= ready"}}
    severity: SEV1
    warning_severity: SEV3
    playbook: api-down
    covers: ["shop-operations/daily-1"]
  - name: cart
    title: The cart answers
    every: 1s
    timeout: 900ms
    depends_on: [api]
    probe: {{type: http, url: "{url}/cart"}}
    thresholds: {{measure: up, critical: "= 0"}}
    severity: SEV3
  - name: pods
    title: Memory of each pod
    every: 1s
    timeout: 900ms
    probe: {{type: prometheus, url: "{url}", query: memory, unit: ratio, series: "{{pod}}"}}
    thresholds: {{measure: value, warning: ">= 80%", critical: ">= 95%"}}
    severity: SEV3
  - name: round
    title: Looked at every morning
    cadence: morning
    probe: {{type: load}}
    thresholds: {{measure: load1, warning: "> 10000"}}
    severity: SEV3
  - name: drill
    title: Only looked at when asked
    cadence: yearly
    probe: {{type: load}}
    thresholds: {{measure: load1, warning: "> 10000"}}
    severity: SEV3
  - name: off
    title: Not looked at
    every: 1m
    enabled: false
    probe: {{type: load}}
    thresholds: {{measure: load1, warning: "> 10000"}}
    severity: SEV3
"""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """What the daemon watches."""
    made = Shop()
    with made.server:
        yield made


@pytest.fixture(scope="module")
def daemon(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Runs, and has looked at everything once."""
    made = Daemon(tmp_path_factory.mktemp("web"), catalogue(shop.server.url), reload_watch="false")
    try:
        made.start()
        made.until(lambda: seen(made, "api", "pods", "cart"), what="looked at")
        yield made
    finally:
        made.stop(signal.SIGKILL)
        made.http.close()


@pytest.fixture
def stranger(daemon: Daemon) -> Iterator[httpx.Client]:
    """A client without the token."""
    with httpx.Client(base_url=daemon.url, timeout=10) as client:
        yield client


@pytest.fixture
def broken(shop: Shop, daemon: Daemon) -> Iterator[str]:
    """The API says something odd of itself: the id of the incident that this opens."""
    shop.state = HOSTILE
    try:
        yield daemon.until(lambda: opened(daemon), what="an incident")
    finally:
        shop.state = "ready"
        daemon.until(lambda: not opened(daemon), what="the end of the incident")


def seen(daemon: Daemon, *names: str) -> bool:
    """Whether all of these have run and are in order."""
    return all(daemon.get(f"/api/v1/checks/shop/{name}")["status"] == "ok" for name in names)


def opened(daemon: Daemon) -> str:
    """The open incident's id, empty without one."""
    return next((i["id"] for i in daemon.get("/api/v1/incidents?open=true")["incidents"]), "")
