"""A real Prometheus that scrapes an emulated production."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from aiohttp import ClientSession, ClientTimeout

from healthd.sandbox.child import Child, SandboxError, free_port
from healthd.sandbox.parts.monitoring.rules import SCRAPE_SECONDS, Rule, rules_file


def prometheus_program() -> str | None:
    """Prometheus on PATH, if it is there."""
    return shutil.which("prometheus")


class Prometheus:
    """One Prometheus, its configuration and data in `folder`. `targets` gives each job's port."""

    description = "Prometheus"

    def __init__(
        self, program: str, targets: Mapping[str, int], rules: Sequence[Rule], folder: Path, log: Path
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder / "prometheus"
        self._targets, self._rules = targets, rules
        self._child = Child(
            "Prometheus",
            [
                *(program, f"--config.file={self._folder / 'prometheus.yml'}", f"--storage.tsdb.path={self._folder}"),
                *(f"--web.listen-address=127.0.0.1:{self.port}", "--storage.tsdb.retention.time=1d"),
            ],
            log,
        )

    @property
    def running(self) -> bool:
        return self._child.running

    async def start(self) -> None:
        """Write its configuration and start it."""
        self._folder.mkdir(exist_ok=True)
        scrape = [
            # whoever exposes the machines' metrics too gives each its own instance
            {"job_name": job, "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in self._targets.items()
        ]
        configuration = {
            "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
            "rule_files": [str(self._folder / "rules.yml")],
            "scrape_configs": scrape,
        }
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        (self._folder / "rules.yml").write_text(yaml.safe_dump(rules_file(self._rules)))
        self._child.start()
        await self._child.listening(self.port)
        await self._ready()

    async def _ready(self) -> None:
        """It listens a moment before it answers queries."""
        async with ClientSession(timeout=ClientTimeout(total=5)) as session:
            for _ in range(500):
                async with session.get(f"{self.url}/-/ready") as response:
                    if response.status == 200:
                        return
                await asyncio.sleep(0.02)
        raise SandboxError(f"Prometheus does not get ready:\n{self._child.log_tail()}")

    async def stop(self) -> None:
        """Stop it."""
        await self._child.stop()
