"""healthd as a system of its own: late checks, stuck messages, refused reloads, a store that does not take commits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from healthd.catalogue.systems import PLAIN_SCALE
from healthd.model.catalogue import Check, Flapping, ProbeSpec, Retry, Rule, Source, System, Threshold, UnknownPolicy
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement, Observation, ProbeError
from healthd.model.units import Unit, format_duration
from healthd.probes.base import MeasureInfo, Params, ProbeContext
from healthd.services.base import House
from healthd.services.heartbeat import Heartbeat
from healthd.settings import Settings
from healthd.store.base import StoreError

NAME = "healthd"
TYPE = "healthd"  # of its probe
EVERY = timedelta(seconds=10)
SHOWN = 20
UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Part:
    """What of healthd a check looks at."""

    part: str


def own_system(settings: Settings, taken: Mapping[str, object], *, elsewhere: bool = False) -> tuple[System, ...]:
    """healthd's own system, or none where the settings say so. Called otherwise where the catalogue has the name.
    `elsewhere`: workers look as well."""
    if not settings.self_watch:
        return ()
    name = NAME if NAME not in taken else f"{NAME}-itself"
    return (
        System(
            name=name,
            title="healthd itself",
            zone=UTC,
            severities=MappingProxyType(dict(PLAIN_SCALE)),
            cadences=MappingProxyType({}),
            playbooks=MappingProxyType({}),
            checks=tuple(_checks(name, settings, elsewhere)),
            description="What healthd sees of its own work.",
            own=True,
        ),
    )


class SelfProbe:
    """Looks at the daemon it runs in."""

    Params = Params
    measures: Mapping[str, MeasureInfo] = MappingProxyType({})
    defaults = ()

    def __init__(
        self,
        house: House,
        heartbeat: Heartbeat,
        reload_problem: Callable[[], str],
        workers: Callable[[], Mapping[str, tuple[int, str]]],
    ) -> None:
        """`workers`: by location, how many are alive and what is wrong there."""
        self._house, self._heartbeat, self._reload_problem = house, heartbeat, reload_problem
        self._workers = workers

    def measures_for(self, params: Part) -> Mapping[str, MeasureInfo] | None:
        """They go by the part."""
        return None

    async def run(self, params: Part, context: ProbeContext) -> Observation:
        """One part, as it is now."""
        match params.part:
            case "overdue":
                return self._overdue()
            case "outbox":
                return await self._outbox(context)
            case "reload":
                problem = self._reload_problem()
                return _one("refused", float(bool(problem)), problem, "What is wrong")
            case "heartbeat":
                return self._pulse(context)
            case "workers":
                return self._elsewhere()
            case _:
                problem = self._house.recorder.problem
                unsaved = Measurement("unsaved", self._house.recorder.unsaved)
                seen = _one("failing", float(bool(problem)), problem, "What the store says")
                return Observation((*seen.measurements, unsaved), seen.evidence, seen.note)

    def _overdue(self) -> Observation:
        corridor = self._house.corridor
        late = [c.id for c in corridor.checks.values() if (s := corridor.states.get(c.id)) and s.overdue]
        share = len(late) / max(len(corridor.checks), 1)
        measurements = (Measurement("overdue", len(late)), Measurement("share", share, Unit.RATIO))
        more = f"\nand {len(late) - SHOWN} more" if len(late) > SHOWN else ""
        evidence = (Evidence("Not run when they should have", "\n".join(late[:SHOWN]) + more),) if late else ()
        return Observation(measurements, evidence, ", ".join(late[:3]) + (", ..." if len(late) > 3 else ""))

    async def _outbox(self, context: ProbeContext) -> Observation:
        try:
            waiting = await asyncio.wait_for(self._house.store.outbox(), context.timeout.total_seconds() * 0.9)
        except TimeoutError:
            raise ProbeError("the database did not answer", "timeout") from None
        except StoreError as error:
            raise ProbeError(error.reason, "store") from None
        states = {state.channel: state for state in waiting}
        measurements: list[Measurement] = []
        for channel in {**self._house.teller.channels, **states}:
            state = states.get(channel)
            age = (context.now - state.oldest).total_seconds() if state and state.oldest else 0.0
            measurements.append(Measurement("oldest", max(age, 0.0), Unit.SECONDS, channel))
            measurements.append(Measurement("waiting", state.pending if state else 0, None, channel))
        if not measurements:
            measurements.append(Measurement("oldest", 0.0, Unit.SECONDS))
        lines = [f"{s.channel}: {s.pending} waiting" for s in waiting]
        return Observation(tuple(measurements), (Evidence("Waiting", "\n".join(lines)),) if lines else ())

    def _elsewhere(self) -> Observation:
        standing = self._workers()
        problems = {location: problem for location, (_, problem) in standing.items() if problem}
        measurements = tuple(Measurement("alive", alive, None, location) for location, (alive, _) in standing.items())
        text = "\n".join(f"{location}: {problem}" for location, problem in problems.items())
        return Observation(measurements, (Evidence("What is wrong", text),) if text else (), ", ".join(problems))

    def _pulse(self, context: ProbeContext) -> Observation:
        since = self._heartbeat.last or self._heartbeat.since
        age = max((context.now - since).total_seconds(), 0.0)
        return _one("age", age, self._heartbeat.failing, "Why", Unit.SECONDS)


def _one(name: str, value: float, problem: str, title: str, unit: Unit | None = None) -> Observation:
    evidence = (Evidence(title, problem),) if problem else ()
    return Observation((Measurement(name, value, unit),), evidence, problem)


def _checks(system: str, settings: Settings, elsewhere: bool) -> Iterator[Check]:
    stuck = settings.outbox_stuck
    soon, minute = timedelta(seconds=30), timedelta(minutes=1)
    yield _check(system, "overdue", "Checks run when they should", (
        _row("overdue", None, warning="> 0", held=2 * minute),
        _row("share", Unit.RATIO, critical=">= 50%", held=minute),
    ))  # fmt: skip
    yield _check(system, "outbox", "Messages are accepted", (
        _row("oldest", Unit.SECONDS, warning=_beyond(stuck), critical=_beyond(6 * stuck)),
    ))  # fmt: skip
    yield _check(system, "reload", "The newest catalogue is in force", (
        _row("refused", None, warning="> 0", held=minute),
    ))  # fmt: skip
    yield _check(system, "store", "Outcomes are recorded", (
        _row("failing", None, critical="> 0", held=soon),
        _row("unsaved", None, warning="> 0", held=minute),
    ))  # fmt: skip
    if elsewhere:
        yield _check(system, "workers", "Every location has a worker", (
            _row("alive", None, warning="< 1", held=soon),
        ))  # fmt: skip
    if settings.heartbeat_url:
        every = settings.heartbeat_every
        yield _check(system, "heartbeat", "The dead man's switch is pinged", (
            _row("age", Unit.SECONDS, warning=_beyond(3 * every + minute), critical=_beyond(15 * every + minute)),
        ))  # fmt: skip


def _row(
    measure: str, unit: Unit | None, *, warning: str = "", critical: str = "", held: timedelta = timedelta(0)
) -> Threshold:
    return Threshold(
        measure=measure,
        warning=parse_condition(warning) if warning else None,
        critical=parse_condition(critical) if critical else None,
        for_=held,
        unit=unit,
        name=measure,
    )


def _beyond(limit: timedelta) -> str:
    return f"> {format_duration(limit.total_seconds()).replace(' ', '')}"


def _check(system: str, part: str, title: str, rows: tuple[Threshold, ...]) -> Check:
    return Check(
        system=system,
        name=part,
        title=title,
        probe=ProbeSpec(TYPE, Part(part)),
        rules=(Rule(UTC, every=EVERY),),
        cadences=(),
        thresholds=rows,
        severity="critical",
        warning_severity="warning",
        playbook=None,
        depends_on=(),
        covers=(),
        timeout=timedelta(seconds=5),
        grace=EVERY * 4,
        retry=Retry(),
        unknown=UnknownPolicy(after=4, level=Level.WARNING),
        flapping=Flapping(),
        labels=MappingProxyType({}),
        runbook_url="",
        description="",
        source=Source("healthd", 0),
        fingerprint=f"{part} {rows}",
    )
