"""`healthd sandbox start` as a person runs it, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers.process import Process

HEALTHD = (sys.executable, "-m", "healthd")
PROJECT = Path(__file__).parents[2]


class Sandbox:
    """One sandbox. `start` waits until it says that it is up."""

    def __init__(
        self, folder: Path, *options: str, system: str = "syncwatch", env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder / "sandbox"
        self.output = folder / "output"
        self.options = options
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEALTHD_", "SYNC", "AWS_"))}
        self._env = {**clean, **(env or {})}
        self.process = Process(
            [*HEALTHD, "sandbox", "start", system, "--folder", str(self.folder), *options],
            self.output, cwd=PROJECT, env=self._env,
        )  # fmt: skip

    def start(self) -> Sandbox:
        self.output.unlink(missing_ok=True)  # an earlier one in this folder said the same
        self.process.start()
        until(lambda: "Up in" in self.said() or not self.process.running(), "the sandbox comes up", 60)
        assert self.process.running(), self.said()
        return self

    def said(self) -> str:
        """What it printed so far."""
        return self.output.read_text() if self.output.exists() else ""

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`healthd sandbox WORDS` from another terminal."""
        return run("sandbox", *words, "--folder", str(self.folder), env=self._env)

    @property
    def call_environment(self) -> dict[str, str]:
        """The environment its commands are called with."""
        return self._env

    def healthd(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Another command of healthd, with the environment that the sandbox wrote down and further variables."""
        return run(*words, env={**self._env, **self.environment(), **variables})

    def environment(self) -> dict[str, str]:
        """The variables in its `env` file, as a shell reads them."""
        script = f". {self.folder / 'env'} && env -0"
        printed = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, check=True).stdout
        return dict(line.split("=", 1) for line in printed.split("\0") if line)

    def messages(self) -> list[dict[str, Any]]:
        """What the inbox has received."""
        url = json.loads((self.folder / "state.json").read_text())["inbox_url"]
        with urllib.request.urlopen(f"{url}/messages", timeout=10) as response:
            received: list[dict[str, Any]] = json.load(response)
        return received

    def stop(self) -> None:
        self.process.stop(timeout=30)


def run(*words: str, env: Mapping[str, str], cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """One healthd command."""
    argv: Sequence[str] = [*HEALTHD, *words]
    return subprocess.run(argv, cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=60, check=False)


def until(condition: Callable[[], object], what: str, within: float = 30) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(0.1)
