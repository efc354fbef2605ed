"""Somebody who does what the pages say: first all of getting-started, with one real daemon, then everything else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.documents.pages import ROOT, Block, Command, blocks, commands
from tests.documents.terminal import Programs, Terminal, link_all
from tests.servers.process import Process, free_port

GETTING_STARTED = ROOT / "docs/getting-started.md"
WRITING_CHECKS = ROOT / "docs/writing-checks.md"
DEPLOYMENT = ROOT / "docs/deployment.md"
FILE = re.compile(r"# ((?:[\w-]+/)*[\w.-]+\.yaml)\n")
# what a page runs in a terminal of its own until Ctrl-C
LASTING = ("python3 -m http.server", "healthd sandbox inbox", "healthd run")
# asked for at the end of an incident, so that there is something to sign for
BEFORE = """\
attestations:
  restore-drill: {title: Restore the database, within: 48h, severities: [SEV1], who: on-call engineer}
  post-mortem: {title: Post-mortem written, within: 48h, severities: [SEV1]}
"""
# what the other pages name: an incident that stays open, a channel, and something for each kind of permission
AFTER = """\
channels: {team: {type: slack, webhook_url: "${HEALTHD_SLACK_WEBHOOK_URL}"}}
checks:
  - {name: web, every: 1s, probe: {type: tcp, host: 127.0.0.1, port: 1}, severity: SEV3}
  - {name: pods, cadence: monday, probe: {type: kubernetes_pods, namespace: shop}}
  - {name: bucket, cadence: monday, probe: {type: s3_bucket, bucket: shop-backups, region: eu-central-1}}
  - {name: orders, cadence: monday, probe: {type: postgres, url: "postgresql://watcher@db.example.com:5432/shop"}}
"""


class Reader:
    """`folder` is a clone as they have it; `first` the folder that getting-started makes."""

    def __init__(self, folder: Path, redis: str) -> None:
        self.clone = folder / "clone"
        self.first = self.clone / "first"
        self.clone.mkdir()
        shutil.copytree(ROOT / "deploy", self.clone / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
        link_all(ROOT, self.clone, but=frozenset({"first", "healthd.db", ".sandbox"}))
        self.port, self.web, self.inbox = free_port(), free_port(), free_port()
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)
        self.programs = Programs(folder)
        self.variables = {"HEALTHD_PORT": str(self.port), "SHOP_REDIS_URL": redis,
                          "SHOP_PROMETHEUS_URL": "http://127.0.0.1:1"}  # fmt: skip
        self.lasting: dict[str, Process] = {}
        self.log = folder / "log"
        self.log.mkdir()

    def close(self) -> None:
        """End everything."""
        for process in self.lasting.values():
            process.stop(signal.SIGKILL)
        self.programs.stop()
        self.api.close()

    # -- typing ----------------------------------------------------------------------------------------------------

    def terminal(self, folder: Path | None = None) -> Terminal:
        """A new one."""
        return Terminal(self.programs, folder or self.first, self.variables)

    def here(self, text: str) -> str:
        """A page's text with this run's ports and ids."""
        text = re.sub(r"(?:localhost|127\.0\.0\.1):9780", f"127.0.0.1:{self.port}", text)
        text = re.sub(r"\b8000\b", str(self.web), text.replace(".venv/bin/healthd", "healthd"))
        soon = datetime.now(UTC) + timedelta(days=7)
        text = re.sub(r"\b2026-03-(\d\d)T", lambda day: f"{soon + timedelta(days=int(day[1])):%Y-%m-%d}T", text)
        makers = {"INC": self.incident, "ATT": self.signature, "SIL": self.silence, "WIN": self.window}
        for name, find in makers.items():
            if re.search(rf"\b{name}-\d{{8}}-\d{{6}}-\w+", text):
                text = re.sub(rf"\b{name}-\d{{8}}-\d{{6}}-\w+", find(), text)
        return text

    def last(self, command: Command, terminal: Terminal) -> None:
        """Start what runs until Ctrl-C, and wait until it is there."""
        program, *words = self.here(command.text).split()
        name = "website" if program == "python3" else words[-1]
        port = {"website": self.web, "run": self.port, "inbox": self.inbox}[name]
        if name == "inbox":
            words += ["--port", str(port)]
        argv = [sys.executable, *words] if name == "website" else [sys.executable, "-m", "healthd", *words]
        environment = {**terminal.variables, "PATH": os.environ["PATH"]}
        process = Process(argv, self.log / f"{name}.log", env=environment, cwd=terminal.folder).start()
        self.lasting[name] = process
        process.wait_for_port(port)
        if name == "run":
            self.until(lambda: self.api.get("/readyz").status_code == 200, "ready")

    # -- getting started -------------------------------------------------------------------------------------------

    def get_started(self, typed: Callable[[Command, Terminal], None]) -> None:
        """The page from its beginning to its end; `typed` is given each command that is not lasting."""
        terminal = self.terminal(self.clone)
        for block in blocks(GETTING_STARTED):
            if block.language == "yaml":
                self.write(block)
            for command in commands(block) if block.language in ("sh", "console") else ():
                if command.text.startswith(LASTING):
                    self.before(command)
                    self.last(command, terminal)
                else:
                    self.go_to(command, terminal)
                    typed(command, terminal)
                    self.after(command)

    def write(self, block: Block, pace: str = "every: 1s\n    timeout: 30s") -> None:
        """A block whose first line names a file is that file. The website is looked at sooner than the page has it, and
        with patience: a slow machine is no outage."""
        if match := FILE.match(block.text):
            path = self.first / match[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.here(block.text).replace("every: 5s", pace))

    def go_to(self, command: Command, terminal: Terminal) -> None:
        """The last part of the page is typed in the clone."""
        if command.text.startswith("docker"):
            terminal.folder = self.clone

    def before(self, command: Command) -> None:
        """What the daemon is to find besides."""
        if command.text == "healthd run":
            (self.first / "checks/shop/people-after-incidents.yaml").write_text(BEFORE)

    def after(self, command: Command) -> None:
        """The page says what happens "within five seconds"."""
        if "lost" in command.text:
            self.until(lambda: self.incidents("shop/website"), "an incident of the website")
        if "connected" in command.text and "run" in self.lasting:
            self.until(lambda: not self.incidents("shop/website"), "the end of the website's incident")
        if "healthd incident INC" in command.text:
            self.until(lambda: self.told() >= {"firing", "acknowledged"}, "three messages in the inbox")

    # -- everything else -------------------------------------------------------------------------------------------

    def settle_in(self) -> None:
        """The files of the other pages, in the folder of the daemon."""
        (self.first / "checks/host").symlink_to(ROOT / "checks/host")
        (self.first / "shop").symlink_to(self.first / "checks/shop")
        link_all(self.clone, self.first, but=frozenset({"first", "checks", "deploy"}))
        shutil.copytree(self.clone / "deploy", self.first / "deploy")
        (self.first / "message.j2").write_text("{{ headline }}\n{{ incident.reason }}\n")
        shutil.copytree(self.first / ".sandbox-inbox", self.first / ".sandbox")
        for block in (*blocks(GETTING_STARTED), *blocks(WRITING_CHECKS)):
            if block.language == "yaml":
                self.write(block, pace="every: 1h")  # its incident is over, and is to stay the only one
        (self.first / "checks/shop/more.yaml").write_text(AFTER)
        kustomization = next(b.text for b in blocks(DEPLOYMENT) if b.text.startswith("# kustomization.yaml"))
        (self.first / "kustomization.yaml").write_text(kustomization.replace("<this repository>", "."))
        (self.first / "checks/shop/checks.yaml").write_text("checks: []\n")
        (self.first / "secret.env").write_text("HEALTHD_TOKEN=x\n")
        text = (self.first / ".sandbox/env").read_text()
        self.variables |= dict(re.findall(r"^export (\w+)='?(.*?)'?$", text, re.MULTILINE))
        self.api.headers["Authorization"] = f"Bearer {self.variables['HEALTHD_TOKEN']}"
        answer = self.api.post("/-/reload")
        assert answer.status_code == 200, answer.text
        self.until(lambda: self.incidents("shop/web"), "an incident of the second website")

    # -- what there is ---------------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], Any], what: str, timeout: float = 60) -> Any:
        """Poll until it holds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if result := condition():
                return result
            time.sleep(0.05)
        raise AssertionError(f"never {what}:\n{(self.log / 'run.log').read_text()[-3000:]}")

    def get(self, path: str) -> Any:
        """Of the daemon's API."""
        answer = self.api.get(f"/api/v1/{path}")
        answer.raise_for_status()
        return answer.json()

    def incidents(self, check: str) -> list[str]:
        """The open ones of a check."""
        return [i["id"] for i in self.get("incidents?open=true")["incidents"] if i["check"] == check]

    def told(self) -> set[str]:
        """Which events the inbox has received on all three channels."""
        messages = httpx.get(f"http://127.0.0.1:{self.inbox}/messages").json()
        kinds = {"Slack": set[str](), "PagerDuty": set[str](), "webhook": set[str]()}
        for message in messages:
            assert not message["refused"], message
            words = {"trigger": "firing", "acknowledge": "acknowledged", "resolve": "resolved"}
            word = re.split(r"[: (]", message["summary"].removeprefix("incident."))[0].lower()
            kinds[message["channel"]].add(words.get(word, word))
        return kinds["Slack"] & kinds["PagerDuty"] & kinds["webhook"]

    def incident(self) -> str:
        """One that is open."""
        return str((self.incidents("shop/website") or self.incidents("shop/web"))[0])

    def signature(self) -> str:
        """A task that somebody has signed for."""
        wanted = "attestations?check=shop/post-mortem"
        found = self.until(lambda: self.get(wanted)["attestations"], "a task to sign for")[0]
        if found["state"] != "given":
            self.api.post(f"/api/v1/attestations/{found['id']}", json={}).raise_for_status()
        return str(found["id"])

    def silence(self) -> str:
        """A new one."""
        body = {"matchers": ["check=shop/nothing"], "reason": "to be ended", "duration": "1h"}
        return str(self.api.post("/api/v1/silences", json=body).raise_for_status().json()["id"])

    def window(self) -> str:
        """A new one."""
        body = {"system": "shop", "reason": "to be ended", "starts_at": "2099-01-01T00:00:00Z", "duration": "1h"}
        return str(self.api.post("/api/v1/windows", json=body).raise_for_status().json()["id"])
