"""Kills a daemon again and again on its way from a look to a message, and says what became of what it had to tell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from healthd.store import SqlStore
from tests.component import kill_harness
from tests.servers.receiver import Answer, Receiver, Request

ROOT = Path(__file__).parents[2]
AT_REST = 10_000  # writes no cycle makes: it ends when everybody has been told
POINTS = 24  # more writes than a cycle makes until everybody has been told (17, and a few of the daemon's own)
BEGUN, OVER = ("opened", "reopened"), ("resolved",)


@dataclass(frozen=True)
class Result:
    """`lost` are changes nobody was told of, `repeated` messages that came again, `foreign` those that came again
    under another id, `disordered` incidents of which somebody heard the end before the beginning."""

    cycles: int
    changes: int
    lost: int
    repeated: int
    foreign: int
    disordered: int


class Cycles:
    """One folder, one receiver, one database (SQLite in the folder by default), one daemon after the other."""

    def __init__(self, folder: Path, receiver: Receiver, database: str = "") -> None:
        self.folder, self.receiver = folder, receiver
        self.database = database or f"sqlite:///{folder / 'healthd.db'}"
        self._count = 0
        self._kill_at_request = False
        self._pid = 0
        argv = [sys.executable, "-m", kill_harness.__name__, str(folder), receiver.url, self.database]
        self._log = (folder / "harness.log").open("ab")
        self._harness = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, cwd=ROOT, text=True, bufsize=1
        )
        receiver.decide(self._decide)

    def __enter__(self) -> Cycles:
        return self

    def __exit__(self, *_: object) -> None:
        self._harness.kill()
        self._harness.communicate()
        self._log.close()
        self.receiver.decide(None)

    def run(self, point: int, *, at_request: bool = False) -> None:
        """One cycle, killed at that write, or when the receiver has read a message and not answered it."""
        assert self._harness.stdin is not None
        self._kill_at_request = at_request
        what = "break" if self._count % 2 == 0 else "mend"
        self._count += 1
        print(point, what, file=self._harness.stdin)
        self._pid = int(self._said("pid"))
        if (status := int(self._said("ended"))) != -signal.SIGKILL:
            raise AssertionError(f"cycle {self._count} ended with {status}: see {self.folder / 'harness.log'}")

    def end(self) -> None:
        """Everything is mended, and everybody told."""
        for _ in range(1 if self._count % 2 else 2):
            self.run(AT_REST)

    async def result(self) -> Result:
        """After `end`: the store's timeline against what the receiver has heard."""
        store = SqlStore(self.database)
        await store.open()
        try:
            incidents = await store.incidents(limit=100_000)
            entries = [entry for incident in incidents for entry in await store.timeline(incident.id)]
        finally:
            await store.close()
        assert all(not incident.is_open for incident in incidents)
        kinds = [(e.incident_id, "begun" if e.kind in BEGUN else "over") for e in entries if e.kind in BEGUN + OVER]
        return self._judge(Counter(kinds))

    def _judge(self, changes: Counter[tuple[str, str]]) -> Result:
        told: dict[str, tuple[str, str]] = {}  # message id -> incident and event, in the order they first came
        seen: dict[tuple[str, str, str], str] = {}  # what a message says -> its id
        foreign = 0
        # whoever else asks this port in a long run on a busy machine is none of ours
        ours = [request for request in self.receiver.requests if "webhook-id" in request.headers]
        for request in ours:
            data, id_ = request.json["data"], request.headers["webhook-id"]
            event = "over" if data["event"] == "resolved" else "begun"
            incident = data["incident"]["id"]
            foreign += seen.setdefault((incident, event, data["at"]), id_) != id_
            told.setdefault(id_, (incident, event))
        heard = Counter(told.values())
        order: dict[str, list[str]] = {}
        for incident, event in told.values():
            order.setdefault(incident, []).append(event)
        return Result(
            cycles=self._count,
            changes=changes.total(),
            lost=sum((changes - heard).values()),
            repeated=len(ours) - len(told),
            foreign=foreign + sum((heard - changes).values()),
            disordered=sum(events != ["begun", "over"] * (len(events) // 2) for events in order.values()),
        )

    def _decide(self, request: Request) -> Answer | None:
        if not self._kill_at_request:
            return None
        self._kill_at_request = False
        os.kill(self._pid, signal.SIGKILL)
        return "close"

    def _said(self, word: str) -> str:
        assert self._harness.stdout is not None
        line = self._harness.stdout.readline().split()
        if not line or line[0] != word:
            raise AssertionError(f"the harness says {line}: see {self.folder / 'harness.log'}")
        return line[1]


def random_cycles(cycles: Cycles, count: int, seed: int = 1) -> None:
    """At a random write, or at a request in one of eight."""
    random = Random(seed)
    for _ in range(count):
        at_request = random.random() < 0.125
        cycles.run(AT_REST if at_request else random.randint(1, POINTS), at_request=at_request)


def every_point(cycles: Cycles, points: Iterable[int]) -> None:
    """Both changes, breaking and mending, at each of these writes, and at a request."""
    for point in points:
        cycles.run(point)
        cycles.run(point)
    cycles.run(AT_REST, at_request=True)
    cycles.run(AT_REST, at_request=True)
