"""Walking through the faults of a sandbox: a daemon that watches it, and what is so of its checks and incidents."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from healthd.sandbox.remote import Remote
from healthd.sandbox.world import Fault, World
from tests.servers.process import Process, free_port
from tests.servers.sandbox import HEALTHD, PROJECT, Sandbox

AT_ONCE = 12  # runs asked for
PACE = {
    "EVERY": "1h", "AGAIN": "", "DRILL_AGAIN": "", "RATE_WINDOW": "5s", "ALERTS_WINDOW": "3s", "QUEUE_HOLD": "2s",
    "LATENCY_HOLD": "2s", "LOGIN_HOLD": "2s",
}  # fmt: skip
UNKNOWN_AFTER = 3  # runs in a row that find nothing out, before anybody is told
PAUSE = 0.4  # seconds between two looks
SLOW = 1.5  # seconds: a check that takes longer is looked at only where it matters
PATIENCE = 180  # seconds until what was broken or mended must be seen
# what a daemon joins into one incident is not what this is about: each check has its own
APART = "  grouping: {window: 0s, storm: 0, reopen_within: 0s}\n"


@dataclass(frozen=True)
class Row:
    """How one check stands."""

    status: str
    incident: str  # its id, "" without
    reason: str

    @property
    def bad(self) -> bool:
        return self.status in ("warning", "critical", "unknown")


class Walk:
    """The sandbox of a world, and a daemon that runs its checks when it is told to, and at its own pace."""

    def __init__(self, world: type[World], folder: Path) -> None:
        self.world = world
        self.sandbox = Sandbox(folder, "--no-daemon", system=world.name)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.took: dict[str, float] = {}  # seconds of the last run, by check
        self.needs: Mapping[str, Collection[str]] = {}  # what each check depends on, by name
        self._needed: set[str] = set()
        self._folder = folder
        self._log = folder / "healthd.log"
        self._daemon: Process | None = None
        self._http = httpx.Client(base_url=f"{self.url}/api/v1", timeout=120, trust_env=False)

    def start(self) -> Walk:
        self.sandbox.start()
        given = self.sandbox.environment()
        port = self.url.rpartition(":")[2]
        prefix = self.world.name.upper().replace("-", "_")
        # nothing but what it is told to run: what is seen is what was asked for, and nobody waits longer than needed
        calm = {f"{prefix}_{name}": value for name, value in PACE.items()} | {"HOST_EVERY": "1h"}
        paths = {"HEALTHD_CHECKS": str(self._catalogues()), "HEALTHD_PORT": port, "HEALTHD_PUBLIC_URL": self.url}
        self._daemon = Process(
            [*HEALTHD, "run"], self._log, cwd=PROJECT, env={**self.sandbox.call_environment, **given, **calm, **paths}
        )
        self.needs = self._dependencies()
        self._needed = {need for needs in self.needs.values() for need in needs}
        self._http.headers["Authorization"] = f"Bearer {given['HEALTHD_TOKEN']}"
        self._daemon.start()
        self._until_ready()
        return self

    def stop(self) -> None:
        self._http.close()
        if self._daemon is not None:
            self._daemon.stop()
        self.sandbox.stop()

    def break_(self, fault: Fault[Any]) -> None:
        """As `healthd sandbox break`."""
        Remote(self.sandbox.folder).break_(fault.name)

    def mend(self, fault: Fault[Any]) -> None:
        """As `healthd sandbox mend`."""
        Remote(self.sandbox.folder).mend(fault.name)

    def checks(self) -> list[str]:
        """Those of the world's own system that are switched on, by name."""
        return [name for name, row in self._rows().items() if row.get("enabled")]

    def _dependencies(self) -> dict[str, list[str]]:
        """What each check depends on, by name."""
        listed = json.loads(self.sandbox.healthd("list", "--system", self.world.name, "--format", "json").stdout)
        names = {row["id"]: row["id"].partition("/")[2] for row in listed}
        return {names[row["id"]]: [names[other] for other in row["depends_on"] if other in names] for row in listed}

    def run(self, names: Collection[str]) -> None:
        """Run these checks now."""

        def one(name: str) -> None:
            started = time.monotonic()
            self._http.post(f"/checks/{self.world.name}/{name}/run").raise_for_status()
            self.took[name] = time.monotonic() - started

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, names))

    def rows(self) -> dict[str, Row]:
        """How each check stands."""
        return {n: Row(r["status"], r["incident"] or "", r["reason"]) for n, r in self._rows().items() if r["enabled"]}

    def incidents(self) -> dict[str, Mapping[str, Any]]:
        """The open ones, by the check they are of."""
        answer = self._http.get("/incidents", params={"open": True, "system": self.world.name, "limit": 500})
        return {found["check"].partition("/")[2]: found for found in answer.json()["incidents"]}

    def recover(self, checks: Collection[str]) -> None:
        """Run these checks until they are well and have no incident: what comes next starts anew."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.run(checks)
            rows, incidents = self.rows(), self.incidents()
            checks = [name for name in checks if rows[name].bad or name in incidents]
            if not checks:
                return
            assert time.monotonic() < deadline, f"not well within {PATIENCE} s: {', '.join(checks)}"
            time.sleep(PAUSE)

    def settle(
        self, broken: Sequence[Fault[Any]], first: Collection[str], then: Collection[str]
    ) -> dict[str, Mapping[str, Any]]:
        """Run checks until exactly those are bad that these faults name, and exactly those told of that are to be:
        `first` until it is so, `then` once more. The open incidents. AssertionError that says what differs at last."""
        told = {check for fault in broken for check in fault.noticed_by}
        bad = bad_of(broken)
        deadline = time.monotonic() + PATIENCE
        for _ in range(UNKNOWN_AFTER):  # what others depend on is looked at most often: it is known to be bad first
            self.run(told & self._needed)
        self.run(first)
        while True:
            if not self._wrong(told, bad):
                self.run(then)
                if not self._wrong(told, bad):
                    return self.incidents()
            wrong = self._wrong(told, bad)
            assert time.monotonic() < deadline, self._difference(told, bad)
            time.sleep(PAUSE)
            self.run(wrong)

    def _wrong(self, told: Collection[str], bad: Collection[str]) -> set[str]:
        """Checks that are not as they are to be."""
        now_bad = {name for name, row in self.rows().items() if row.bad}
        return (now_bad ^ {*bad}) | (self.incidents().keys() ^ {*told})

    def _difference(self, told: Collection[str], bad: Collection[str]) -> str:
        rows, incidents = self.rows(), self.incidents()
        lines = [f"not within {PATIENCE} s:"]
        for name, row in rows.items():
            if row.bad != (name in bad):
                lines.append(f"  {name} is {row.status}, expected {'bad' if name in bad else 'ok'}: {row.reason}")
            if (name in incidents) != (name in told):
                lines.append(f"  {name} has {'an' if name in incidents else 'no'} open incident; it is {row.status}")
        return "\n".join(lines)

    def _rows(self) -> dict[str, Mapping[str, Any]]:
        answer = self._http.get("/checks", params={"system": self.world.name, "limit": 500})
        answer.raise_for_status()
        return {row["name"]: row for row in answer.json()["checks"]}

    def _catalogues(self) -> Path:
        """A copy of the world's catalogues in which every check has an incident of its own."""
        folder = self._folder / "checks"
        for name in self.world.catalogues:
            shutil.copytree(PROJECT / "checks" / name, folder / name)
        for path in folder.glob("*/system.yaml"):
            path.write_text(path.read_text().replace("\nsystem:\n", f"\nsystem:\n{APART}", 1))
        return folder

    def _until_ready(self) -> None:
        assert self._daemon is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._daemon.running(), self._log.read_text()[-3000:]
            try:
                if httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the daemon is not ready:\n{self._log.read_text()[-3000:]}")


def bad_of(faults: Iterable[Fault[Any]]) -> set[str]:
    """The checks that these make bad."""
    return {check for fault in faults for check in (*fault.noticed_by, *fault.quiet)}


class Batches:
    """Puts faults together that can be broken at the same time: no check notices two of them but those that are
    `shared`, and none is kept quiet by what another one breaks. `needs`: what each check depends on, by name."""

    def __init__(self, needs: Mapping[str, Collection[str]], shared: Collection[str] = ()) -> None:
        self._needs, self._shared = needs, set(shared)

    def of(self, faults: Iterable[Fault[Any]]) -> list[list[Fault[Any]]]:
        """The fewest that come of taking those first that most checks notice, in an order in which few checks that
        were bad are to be bad again at once."""
        left, ordered = self._together(faults), list[list[Fault[Any]]]()
        while left:
            last = bad_of(ordered[-1]) if ordered else set()
            following = min(left, key=lambda batch: len(last & bad_of(batch)))
            left.remove(following)
            ordered.append(following)
        return ordered

    def _together(self, faults: Iterable[Fault[Any]]) -> list[list[Fault[Any]]]:
        found: list[list[Fault[Any]]] = []
        for fault in sorted(faults, key=lambda fault: -len(self._bad(fault))):
            for batch in found:
                if not any(self._collide(fault, other) for other in batch):
                    batch.append(fault)
                    break
            else:
                found.append([fault])
        return found

    def _collide(self, one: Fault[Any], other: Fault[Any]) -> bool:
        apart = one.name in other.apart or other.name in one.apart
        bad, other_bad = self._bad(one), self._bad(other)
        quiet = self._ancestors(one.noticed_by) & other_bad or self._ancestors(other.noticed_by) & bad
        return bool(apart or bad & other_bad or quiet)

    def _bad(self, fault: Fault[Any]) -> set[str]:
        return {*fault.noticed_by, *fault.quiet} - self._shared

    def _ancestors(self, checks: Iterable[str]) -> set[str]:
        found: set[str] = set()
        new = {need for check in checks for need in self._needs.get(check, ())}
        while new - found:
            found |= new
            new = {need for check in new for need in self._needs.get(check, ())}
        return found
