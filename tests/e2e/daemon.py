"""The daemon as its users run it: a process with settings, a catalogue folder, and an HTTP port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.servers.process import Process, free_port

T = TypeVar("T")
TOKEN = "e2e-token-0123456789"


class Daemon:
    """`healthd run` in a folder of its own; `start` waits until /readyz says yes."""

    def __init__(self, folder: Path, catalogue: str, **settings: str) -> None:
        self.folder = folder
        self.system = folder / "checks" / "shop"
        self.system.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "healthd.log"
        self.settings = settings
        self.write(catalogue)
        self.process: Process | None = None
        self.http = httpx.Client(base_url=self.url, timeout=10, headers={"Authorization": f"Bearer {TOKEN}"})

    def write(self, catalogue: str, name: str = "system.yaml") -> None:
        """Replace one catalogue file, as an editor does: a new file moved over the old one."""
        new = self.folder / f".{name}.new"
        new.write_text(catalogue)
        new.replace(self.system / name)

    def environment(self) -> dict[str, str]:
        """Nothing of the outside but what a process needs."""
        base = {k: v for k, v in os.environ.items() if not k.startswith("HEALTHD_")}
        return base | {
            "HEALTHD_CHECKS": str(self.folder / "checks"),
            "HEALTHD_PORT": str(self.port),
            "HEALTHD_DATABASE_URL": f"sqlite:///{self.folder / 'healthd.db'}",
            "HEALTHD_TOKEN": TOKEN,
            "HEALTHD_LOG_FORMAT": "json",
            **{f"HEALTHD_{k.upper()}" if not k.startswith("ENV_") else k[4:]: v for k, v in self.settings.items()},
        }

    def launch(self) -> Daemon:
        """Start without waiting."""
        argv = [sys.executable, "-m", "healthd", "run"]
        self.process = Process(argv, self.log, env=self.environment(), cwd=self.folder).start()
        return self

    def start(self, timeout: float = 60) -> Daemon:
        self.launch()
        self.until(self.ready, timeout, "ready")
        return self

    def ready(self) -> bool:
        assert self.process is not None
        if not self.process.running():
            raise AssertionError(f"the daemon ended:\n{self.log.read_text()[-3000:]}")
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 30) -> int | None:
        return self.process.stop(sig, timeout) if self.process else None

    def kill(self) -> None:
        """kill -9, and start nothing."""
        self.stop(signal.SIGKILL)

    def signal(self, sig: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, sig)

    def until(self, condition: Callable[[], T], timeout: float = 30, what: str = "") -> T:
        """Poll until `condition` holds; the log's end is shown when it never does."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if result := condition():
                return result
            time.sleep(0.05)
        raise AssertionError(f"never {what or condition}:\n{self.log.read_text()[-3000:]}")

    def command(self, *words: str) -> tuple[int, str]:
        """A command with the daemon's settings: its exit code and all it says."""
        argv = [sys.executable, "-m", "healthd", *words]
        done = subprocess.run(
            argv, env=self.environment(), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        answer.raise_for_status()
        return answer.json()

    def metrics(self) -> str:
        return self.http.get("/metrics").text

    def metric(self, name: str, **labels: str) -> float | None:
        """One sample; None when there is none."""
        from prometheus_client.parser import text_string_to_metric_families

        for family in text_string_to_metric_families(self.metrics()):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return None

    def events(self, name: str = "") -> list[Mapping[str, Any]]:
        """What it logged."""
        found = []
        for line in self.log.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if not name or entry.get("event") == name:
                found.append(entry)
        return found
