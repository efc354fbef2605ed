"""Which channels hear of what, at once or when the hours of their route begin, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from healthd.model.catalogue import Route
from healthd.model.outcomes import Level

INCIDENT = "incident"  # the kind that is no kind of notice
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be told. A notice has no check and no level; an incident has no cadence."""

    system: str
    severity: str = ""
    kind: str = INCIDENT
    cadence: str = ""
    check_id: str = ""
    level: Level | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))


@dataclass(frozen=True, slots=True)
class Trial:
    """One route, tried: `failed` is the criterion that was not met, "" when all were. `until`: its messages are held
    until then."""

    route: Route
    failed: str = ""
    until: datetime | None = None
    reached: bool = True  # False: a route before it ended the search


@dataclass(frozen=True, slots=True)
class Routed:
    """The channels, each once, in the order the routes name them. Those in `held` hear at that time."""

    channels: tuple[str, ...] = ()
    held: Mapping[str, datetime] = field(default_factory=dict)


def attempts(routes: Sequence[Route], subject: Subject, at: datetime) -> Iterator[Trial]:
    """Every route, tried in its turn.

    One that matches ends the search unless it continues. Outside its hours a route holds its messages until they
    begin (`outside: hold`), has them fall under the table (`drop`), or is passed over (`next`).
    """
    over = False
    for route in routes:
        if over:
            yield Trial(route, reached=False)
            continue
        failed = unmet(route, subject)
        outside = route.hours is not None and not route.hours.contain(at, subject.zone)
        if not failed and outside and route.outside == "next":
            failed = "hours"
        over = not failed and not route.continue_
        held = route.hours.begin(at, subject.zone) if route.hours and outside and not failed else None
        yield Trial(route, failed, held)


def chosen(trials: Iterable[Trial], known: Collection[str]) -> Routed:
    """What comes of trying them. A channel that one route tells at once is not held by another."""
    found: dict[str, datetime | None] = {}
    for trial in trials:
        if trial.failed or not trial.reached or (trial.until and trial.route.outside == "drop"):
            continue
        for name in trial.route.channels:
            if name in known:
                before = found.get(name, trial.until)
                found[name] = min(before, trial.until) if before and trial.until else None
    return Routed(tuple(found), {name: until for name, until in found.items() if until})


def route(routes: Sequence[Route], subject: Subject, known: Collection[str], at: datetime) -> Routed:
    """The channels to tell. Without any route everything goes to all `known` channels; with routes that all fail to
    match, to none."""
    return chosen(attempts(routes, subject, at), known) if routes else Routed(tuple(known))


def match(
    routes: Sequence[Route],
    *,
    system: str,
    severity: str,
    check_id: str,
    level: Level,
    labels: Mapping[str, str],
    known: Collection[str],
) -> tuple[str, ...]:
    """The channels to tell of an incident, whatever the hour."""
    subject = Subject(system, severity, check_id=check_id, level=level, labels=labels)
    return route(routes, subject, known, EPOCH).channels


def unmet(route: Route, subject: Subject) -> str:
    """The first criterion that is not met, "" when all are.

    Globs ignore case. A `checks` glob without a slash is also held against the name after the system's.
    """
    met = {
        "kinds": any_of(route.kinds, subject.kind),
        "systems": any_of(route.systems, subject.system),
        "severities": any_of(route.severities, subject.severity),
        "cadences": any_of(route.cadences, subject.cadence) and bool(subject.cadence or not route.cadences),
        "checks": not route.checks or (bool(subject.check_id) and _is_among(route.checks, subject.check_id)),
        "levels": not route.levels or subject.level in route.levels,
        **{
            f"labels: {key}": key in subject.labels and _glob(glob, subject.labels[key])
            for key, glob in route.labels.items()
        },
    }
    return next((name for name, holds in met.items() if not holds), "")


def any_of(globs: Sequence[str], value: str) -> bool:
    """Whether one of the globs fits, or there is none. Case is ignored."""
    return not globs or any(_glob(glob, value) for glob in globs)


def _is_among(globs: Sequence[str], check_id: str) -> bool:
    bare = [glob for glob in globs if "/" not in glob]
    return any_of(globs, check_id) or any(_glob(glob, check_id.partition("/")[2]) for glob in bare)


def _glob(glob: str, value: str) -> bool:
    return fnmatchcase(value.lower(), glob.lower())
