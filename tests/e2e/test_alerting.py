"""healthd, scraped by Prometheus with our rules, told by Alertmanager with our routes: all of them real ones."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.daemon import Daemon
from tests.servers.process import Process, free_port
from tests.servers.prometheus import AlertmanagerServer
from tests.servers.receiver import Receiver, Request

DEPLOY = Path(__file__).parents[2] / "deploy"
ROUTES = DEPLOY / "alertmanager/alertmanager.yaml"
SCRAPE = DEPLOY / "prometheus/scrape.yaml"
RULES = DEPLOY / "prometheus/rules.yaml"
SECRETS = "/etc/alertmanager/secrets"
PAGED, SHOWN = ["pagerduty-platform", "slack-operations"], ["slack-operations"]
CHECK = """
system: {{name: {system}}}
checks:
  - {{name: web, every: 300ms, probe: {{type: http, url: "{url}/{system}"}}}}
"""


def tool(name: str, package: str) -> str:
    found = shutil.which(name)
    assert found, f"no {name}: install Debian's {package} (.ci/servers does)"
    return found


def run(*argv: str | Path) -> str:
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_alertmanager_takes_the_configuration() -> None:
    assert "SUCCESS" in run(tool("amtool", "prometheus-alertmanager"), "check-config", ROUTES)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=Watchdog severity=none", ["dead-mans-switch"]),
        ("alertname=HealthdDown severity=critical job=healthd", PAGED),
        ("alertname=HealthdReloadFailed severity=warning job=healthd", SHOWN),
        ("alertname=HealthdCheckCritical severity=critical system=shop check=web", PAGED),
        ("alertname=HealthdCheckWarning severity=warning system=shop check=web", SHOWN),
        ("alertname=HealthdCheckFlapping severity=info system=shop check=web", SHOWN),
        (
            "alertname=HealthdCheckCritical severity=critical system=social-live check=web",
            ["pagerduty-social-live", "slack-social-live"],
        ),
        ("alertname=HealthdCheckUnknown severity=warning system=social-live check=web", ["slack-social-live"]),
        # what healthd tells by itself, through its channel `alertmanager`
        ("alertname=web severity=critical priority=SEV1 source=healthd system=shop check=shop/web", PAGED),
        ("alertname=somebody-elses severity=warning", SHOWN),
        ("alertname=without-a-severity", SHOWN),
    ],
)
def test_where_an_alert_goes(labels: str, receivers: list[str]) -> None:
    amtool = tool("amtool", "prometheus-alertmanager")
    told = run(amtool, "config", "routes", "test", f"--config.file={ROUTES}", *labels.split())
    assert told.split(",") == receivers


def test_what_inhibits_is_an_alert_of_ours() -> None:
    alerts = {
        r["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for r in group["rules"] if "alert" in r
    }
    for rule in yaml.safe_load(ROUTES.read_text())["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            pattern = re.compile(matcher.split("=", 1)[1].strip('~ "'))
            assert any(pattern.fullmatch(alert) for alert in alerts), matcher


def test_prometheus_takes_the_scrape_configuration(tmp_path: Path) -> None:
    config = yaml.safe_load(SCRAPE.read_text())
    # Debian builds Prometheus without the discovery of Kubernetes; the rest of that job is checked, and tried below
    assert config["scrape_configs"][1].pop("kubernetes_sd_configs")
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(RULES, tmp_path)
    assert "SUCCESS" in run(tool("promtool", "prometheus"), "check", "config", tmp_path / "prometheus.yml")


def routes(receiver: str, folder: Path) -> str:
    """Our configuration, told to hurry and to tell `receiver` instead."""
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "slack-webhook-url").write_text(f"{receiver}/slack\n")
    for name in ("pagerduty-platform", "pagerduty-social-live", "dead-mans-switch-token"):
        (secrets / name).write_text(f"key-of-{name}\n")
    text = ROUTES.read_text().replace(SECRETS, str(secrets))
    text = re.sub(r"https://events\.pagerduty\.com/\S+", f"{receiver}/pagerduty", text)
    text = text.replace("https://dead-mans-switch.example", f"{receiver}/dead")
    return re.sub(r"group_(wait|interval): \S+", r"group_\1: 200ms", text)


def scrape(target: str, alertmanager: int, folder: Path) -> str:
    """Our configuration, told to hurry, with pods named by a file as the discovery of Kubernetes names them."""

    def pod(name: str, port: str, phase: str, address: str = target) -> dict[str, Any]:
        found = {"namespace": "shops", "pod_name": name, "pod_container_port_name": port, "pod_phase": phase}
        return {"targets": [address], "labels": {f"__meta_kubernetes_{key}": value for key, value in found.items()}}

    dead = "127.0.0.1:1"
    pods = [pod("healthd-0", "http", "Running"), pod("a", "grpc", "Running", dead), pod("b", "http", "Succeeded", dead)]
    (folder / "pods.json").write_text(json.dumps(pods))
    config = yaml.safe_load(SCRAPE.read_text())
    config["global"] = {"scrape_interval": "300ms", "scrape_timeout": "300ms", "evaluation_interval": "300ms"}
    config["rule_files"] = [str(RULES)]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager}"]
    job = config["scrape_configs"][1]
    del job["kubernetes_sd_configs"]
    config["scrape_configs"] = [{**job, "file_sd_configs": [{"files": [str(folder / "pods.json")]}]}]
    return yaml.safe_dump(config)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Slack, PagerDuty, a dead man's switch and what healthd looks at, as one receiver at the end of the real chain."""
    folder = tmp_path_factory.mktemp("alerting")
    with Receiver() as receiver:
        receiver.decide(lambda request: 500 if request.method == "GET" else None)
        daemon = Daemon(folder, CHECK.format(system="shop", url=receiver.url), self_watch="false")
        (folder / "checks/social-live").mkdir()
        (folder / "checks/social-live/system.yaml").write_text(CHECK.format(system="social-live", url=receiver.url))
        (folder / "alertmanager").mkdir()
        alertmanager = AlertmanagerServer(folder / "alertmanager", routes(receiver.url, folder))
        port = free_port()
        argv = [
            tool("prometheus", "prometheus"), f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
            "--rules.alert.resend-delay=1s",  # what fired before it found Alertmanager is said again
        ]  # fmt: skip
        (folder / "prometheus.yml").write_text(scrape(f"127.0.0.1:{daemon.port}", alertmanager.port, folder))
        prometheus = Process(argv, folder / "prometheus.log")
        try:
            alertmanager.start()
            daemon.start()
            prometheus.start()
            yield receiver
        finally:
            prometheus.stop()
            alertmanager.stop()
            daemon.kill()


def wait_for(told: Receiver, path: str, **fields: str) -> Request:
    """The first request to `path` whose JSON has these fields."""

    def found() -> list[Request]:
        return [r for r in told.requests if r.path == path and fields.items() <= json.loads(r.body).items()]

    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline, [(r.path, r.body[:300]) for r in told.requests if r.method == "POST"]
        time.sleep(0.05)
    return found()[0]


def test_a_failing_check_arrives_at_slack_and_pagerduty_and_its_end_too(told: Receiver) -> None:
    slack = wait_for(told, "/slack", channel="#operations").json["attachments"][0]
    assert slack["title"] == "FIRING: shop/web is critical"
    assert slack["color"] == "danger"
    assert slack["text"].strip() == "• shop/web is critical (docs/alerts.md#healthdcheckcritical)"
    page = wait_for(told, "/pagerduty", routing_key="key-of-pagerduty-platform", event_action="trigger").json
    assert page["payload"]["summary"] == "shop/web is critical"
    assert (page["payload"]["severity"], page["payload"]["group"]) == ("critical", "shop")
    assert page["payload"]["custom_details"]["firing"].strip() == "shop/web is critical"
    # the system with people of its own
    assert wait_for(told, "/slack", channel="#social-live-ops").json["attachments"][0]["title"] == (
        "FIRING: social-live/web is critical"
    )
    wait_for(told, "/pagerduty", routing_key="key-of-pagerduty-social-live", event_action="trigger")
    switch = wait_for(told, "/dead/healthd", receiver="dead-mans-switch")
    assert switch.headers["authorization"] == "Bearer key-of-dead-mans-switch-token"
    assert [alert["labels"]["alertname"] for alert in switch.json["alerts"]] == ["Watchdog"]
    told.decide(None)  # it is well again
    end = wait_for(told, "/pagerduty", routing_key="key-of-pagerduty-platform", event_action="resolve").json
    assert end["dedup_key"] == page["dedup_key"]
    colours = {r.json["attachments"][0]["color"] for r in told.requests if r.path == "/slack"}
    assert colours <= {"danger", "good"}


@pytest.mark.parametrize(
    ("cause", "quiet", "loud"),
    [
        ("HealthdDown", ["HealthdReloadFailed", "HealthdCheckCritical", "HealthdNoLeader"], ["Watchdog"]),
        (
            "HealthdNoLeader",
            ["HealthdStoreFailing", "HealthdCheckOverdue", "HealthdRunsMissed"],
            ["HealthdReloadFailed"],
        ),
        ("HealthdStoreFailing", ["HealthdNotReady", "HealthdNotificationsFailing"], ["HealthdReloadFailed"]),
        ("HealthdCheckCritical", ["HealthdCheckWarning", "HealthdCheckFlapping"], ["HealthdNotificationsFailing"]),
    ],
)
def test_one_cause_is_told_once(
    cause: str, quiet: list[str], loud: list[str], tmp_path: Path, receiver: Receiver
) -> None:
    def alert(name: str, check: str = "web", namespace: str = "a") -> dict[str, Any]:
        labels = {"job": "healthd", "namespace": namespace, "system": "shop", "check": check}
        return {"labels": {"alertname": name, **labels}}

    server = AlertmanagerServer(tmp_path, routes(receiver.url, tmp_path)).start()
    try:
        server.post("/api/v2/alerts", [alert(name) for name in (cause, *quiet, *loud)])
        server.post("/api/v2/alerts", [alert(name, namespace="another") for name in quiet])
        if cause == "HealthdCheckCritical":
            server.post("/api/v2/alerts", [alert(name, check="another") for name in quiet])
        deadline = time.monotonic() + 20
        while True:
            found = httpx.get(f"{server.url}/api/v2/alerts", trust_env=False).json()
            inhibited = [a["labels"] for a in found if a["status"]["inhibitedBy"]]
            if len(inhibited) >= len(quiet) or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert sorted(labels["alertname"] for labels in inhibited) == sorted(quiet)
        assert {(labels["namespace"], labels["check"]) for labels in inhibited} == {("a", "web")}
    finally:
        server.stop()
