"""A real Prometheus that scrapes a target of ours and evaluates rules, and a real Alertmanager."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.servers.process import Process, free_port

METRICS = """
# TYPE playback_drift_seconds gauge
playback_drift_seconds{room="red"} 4
playback_drift_seconds{room="blue"} 0.5
# TYPE requests_total counter
requests_total{method="GET",code="200"} 100
requests_total{method="POST",code="200"} 20
requests_total{method="POST",code="500"} 0
"""

RULES = """
groups:
  - name: playback
    interval: 200ms
    rules:
      - alert: HighDrift
        expr: playback_drift_seconds > 1
        labels: {severity: critical, team: platform}
        annotations: {summary: "Drift in {{ $labels.room }} is {{ $value }}s"}
      - alert: SomeDrift
        expr: playback_drift_seconds > 0
        for: 1h
        labels: {severity: warning}
      - alert: NeverFires
        expr: playback_drift_seconds > 1000
      - record: drift:max
        expr: max(playback_drift_seconds)
"""

CONFIG = """
global: {scrape_interval: 250ms, scrape_timeout: 200ms, evaluation_interval: 250ms}
rule_files: [rules.yml]
scrape_configs:
  - job_name: app
    static_configs: [{targets: ["127.0.0.1:%d"]}]
"""


def _program(name: str, package: str) -> str:
    program = shutil.which(name)
    if program is None:
        pytest.fail(f"{name} is missing: apt-get install {package}", pytrace=False)
    return program


class _Target:
    """Serves `text` at /metrics."""

    def __init__(self, text: str) -> None:
        self.text = text
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = target.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class PrometheusServer:
    """Prometheus over `metrics` (may be changed while it runs: `target.text`) and `rules`."""

    def __init__(self, folder: Path, metrics: str = METRICS, rules: str = RULES) -> None:
        self.folder, self.rules = folder, rules
        self.target = _Target(metrics)
        self.port = free_port()
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> PrometheusServer:
        (self.folder / "rules.yml").write_text(self.rules)
        (self.folder / "prometheus.yml").write_text(CONFIG % self.target.port)
        argv = [
            _program("prometheus", "prometheus"),
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self._process = Process(argv, self.folder / "prometheus.log", cwd=self.folder).start()
        self._process.wait_for_port(self.port)
        return self

    def query(self, query: str) -> list[Any]:
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}") as answer:
            result: list[Any] = json.load(answer)["data"]["result"]
            return result

    def wait_for(self, query: str, timeout: float = 20) -> PrometheusServer:
        """Until the query gives something."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if self.query(query):
                    return self
            except OSError:
                pass  # it says 503 until it is ready
            time.sleep(0.05)
        raise RuntimeError(f"{query} gave nothing within {timeout:g}s")

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
        self.target.stop()


class AlertmanagerServer:
    """An Alertmanager without peers; alerts are given to it through its API. Without `config` it tells nobody."""

    def __init__(self, folder: Path, config: str = "route: {receiver: none}\nreceivers: [{name: none}]\n") -> None:
        self.folder, self.config = folder, config
        self.port = free_port()
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> AlertmanagerServer:
        (self.folder / "alertmanager.yml").write_text(self.config)
        argv = [
            _program("prometheus-alertmanager", "prometheus-alertmanager"),
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        self._process = Process(argv, self.folder / "alertmanager.log", cwd=self.folder).start()
        self._process.wait_for_port(self.port)
        return self

    def post(self, path: str, body: Any) -> None:
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        urllib.request.urlopen(request).close()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    server = PrometheusServer(tmp_path_factory.mktemp("prometheus")).start()
    try:
        server.wait_for('ALERTS{alertname="HighDrift",alertstate="firing"}').wait_for("drift:max")
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerServer]:
    server = AlertmanagerServer(tmp_path_factory.mktemp("alertmanager")).start()
    yield server
    server.stop()
