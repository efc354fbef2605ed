"""One look of one check and its judgement: what the daemon and `healthd check` have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from healthd.evaluate import judge
from healthd.model.outcomes import Evidence, Level, Measurement, Observation, Outcome, Verdict
from healthd.probes import prepare
from healthd.probes.base import Probe, ProbeContext, ProbeLimits, Resources
from healthd.schedule import Attempt, Due, Limits, attempt
from healthd.settings import Settings

# A probe keeps its own time-out; the runner's is a backstop for one that does not.
BACKSTOP = timedelta(milliseconds=300)

# The evidence of an OK outcome that holds what its probe remarked.
NOTE = "note"

# Technologies whose looks cost a thread or a process each.
CONCURRENCY: Mapping[str, int] = {
    "command": 8, "files": 8, "disk": 8, "environment": 8,
    "logs": 4, "audit": 4, "restore_drill": 1, "load_benchmark": 1,
}  # fmt: skip


def limits_of(settings: Settings) -> ProbeLimits:
    """What the settings allow probes to do."""
    return ProbeLimits(
        allowed_commands=settings.allowed_commands,
        allowed_load_hosts=settings.allowed_load_hosts,
        scratch_dir=settings.scratch_dir,
    )


Shared = dict[Hashable, asyncio.Future[Any]]


def slots_of(settings: Settings) -> Limits:
    """How many looks at once, by type of probe."""
    return Limits(settings.probe_concurrency, {**CONCURRENCY, **settings.concurrency})


class Elsewhere(Protocol):
    """Where looks of other locations are made."""

    async def look(self, due: Due, started: datetime) -> Attempt[Observation]:
        """As Looker.look, in a time that is bounded by the check's own."""


@dataclass(frozen=True, slots=True)
class Looker:
    """Looks at things with shared clients, within what the settings allow. Without an `elsewhere` all is looked at from
    here."""

    probes: Mapping[str, Probe]
    resources: Resources
    limits: ProbeLimits
    elsewhere: Elsewhere | None = None
    _prepared: set[str] = field(default_factory=set, init=False)
    _preparing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def prepare(self, kinds: Iterable[str]) -> None:
        """Have the clients of these types of probes imported, in a thread and one after the other.

        Within a look that would take from its time, and the loop would stand still in the middle of others.
        """
        async with self._preparing:
            for kind in sorted(set(kinds) - self._prepared):
                with suppress(Exception):  # the look will say what cannot be imported
                    await asyncio.to_thread(prepare, kind)
                self._prepared.add(kind)

    async def look(self, due: Due, started: datetime, zone: ZoneInfo, shared: Shared) -> Attempt[Observation]:
        """Look once, retried as the check asks. `shared` holds the answers that checks due together share."""
        check = due.check
        if check.location and self.elsewhere is not None:
            return await self.elsewhere.look(due, started)
        probe = self.probes[check.probe.type]
        if check.probe.type not in self._prepared:
            await self.prepare((check.probe.type,))
        clock = asyncio.get_running_loop().time
        ends = clock() + check.timeout.total_seconds()

        def once() -> Awaitable[Observation]:
            left = timedelta(seconds=max(0.01, ends - clock()))
            context = ProbeContext(started, left, zone, self.resources, self.limits, shared)
            return probe.run(check.probe.params, context)

        return await attempt(
            once, started=started, timeout=check.timeout + BACKSTOP, retry=check.retry, retryable=_is_down,
            begin_within=check.timeout,
        )  # fmt: skip


def judged(due: Due, seen: Attempt[Observation], redact: Callable[[str], str]) -> Outcome:
    """The outcome of a look: its measurements against the check's thresholds, or UNKNOWN with the reason."""
    check = due.check
    verdicts: tuple[Verdict, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    kind = ""
    if seen.error is not None:
        level, reason, evidence = Level.UNKNOWN, seen.error.reason, seen.error.evidence
        kind = seen.error.kind
    else:
        assert seen.observation is not None
        measurements, evidence = seen.observation.measurements, seen.observation.evidence
        level, reason, verdicts = judge(check.thresholds, measurements, seen.observation.note)
        if level is Level.OK and seen.observation.note:
            # there is no reason to add it to: why a measure is absent, say, where its row lets that pass
            evidence = (Evidence(NOTE, seen.observation.note), *evidence)
    return Outcome(
        check_id=check.id,
        started=seen.started,
        duration=seen.duration,
        level=level,
        reason=redact(reason) if reason else "",
        measurements=measurements,
        verdicts=verdicts,
        evidence=tuple(replace(e, text=redact(e.text)) for e in evidence),
        due=None if due.trigger == "manual" else due.at,
        trigger=due.trigger,
        cadence=due.cadence,
        error_kind=kind,
        late=due.late,
    )


def _is_down(observation: Observation) -> bool:
    """What a retry inside one run is for: nothing answered."""
    return any(m.name == "up" and m.value == 0 for m in observation.measurements)
