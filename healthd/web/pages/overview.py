"""All systems at a glance, and one system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from healthd.model.catalogue import Catalogue, Check, System
from healthd.model.incidents import Incident
from healthd.web.checklists import today
from healthd.web.daemon import Daemon
from healthd.web.desk import desk_of
from healthd.web.listing import FOLD, STATUS_WORDS, Filter, listing
from healthd.web.membership import open_incidents
from healthd.web.nearest import nearest
from healthd.web.problem import RequestError
from healthd.web.standing import Status, count, overall, statuses
from healthd.web.views import page

INCIDENTS = 20
MAX_SEARCH = 100


@dataclass(frozen=True, slots=True)
class CadenceSummary:
    """The checks of a system that run together; `name` is empty for those that follow rules of their own."""

    name: str
    title: str
    text: str  # when, in words
    counts: Mapping[Status, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """One system in numbers."""

    system: System
    counts: Mapping[Status, int]
    incidents: int
    cadences: list[CadenceSummary] = field(default_factory=list)

    @property
    def status(self) -> Status:
        return overall(self.counts)


async def overview(request: Request) -> Response:
    """`/`: the state of everything, open incidents, systems, checks."""
    daemon = desk_of(request).daemon
    wanted = _filter(request)
    found = statuses(daemon, daemon.catalogue.watched_checks)
    counts = count(found.values())
    many = wanted.is_empty and len(found) > FOLD
    shown = Filter(status="problem") if many else wanted
    return await page(
        request,
        "overview.html",
        overall=overall(counts),
        counts=counts,
        total=len(found),
        many=many,
        not_ready=daemon.unready(),
        reload_problem=daemon.reload_problem,
        incidents=by_severity(daemon.catalogue, daemon.incidents.values())[:INCIDENTS],
        systems=_summaries(daemon, found),
        rounds=today(daemon, daemon.catalogue.watched, desk_of(request).now()),
        own=_own(daemon),
        maintained=[window for window in daemon.windows.known if window.state(desk_of(request).now()) == "active"],
        **_listing(request, shown, found),
    )


async def system(request: Request) -> Response:
    """`/systems/{name}`: one system's checks, cadences and incidents."""
    daemon = desk_of(request).daemon
    known = _system(request)
    wanted = _filter(request, system=known.name)
    open_ = open_incidents(daemon, system=known.name)
    found = statuses(daemon, known.checks)
    counts = count(found.values())
    return await page(
        request,
        "system.html",
        system=known,
        overall=overall(counts),
        counts=counts,
        total=len(known.checks),
        incidents=by_severity(daemon.catalogue, open_)[:INCIDENTS],
        rounds=today(daemon, [known], desk_of(request).now()),
        **_listing(request, wanted, found),
    )


async def playbooks(request: Request) -> Response:
    """`/systems/{name}/playbooks`: all of them, also those that no check leads to."""
    known = _system(request)
    users: dict[str, list[Check]] = {}
    for check in known.checks:
        users.setdefault(check.playbook or "", []).append(check)
    return await page(request, "playbooks.html", system=known, users=users)


def _system(request: Request) -> System:
    catalogue = desk_of(request).daemon.catalogue
    name = request.path_params["system"]
    known = catalogue.systems.get(name)
    if known is None:
        raise RequestError(404, f"no system {name!r}", nearest(name, catalogue.systems))
    return known


def by_severity(catalogue: Catalogue, incidents: object) -> list[Incident]:
    """Worst severity first, then the oldest."""

    def rank(incident: Incident) -> tuple[int, object]:
        known = catalogue.systems.get(incident.system)
        severity = known.severities.get(incident.severity) if known else None
        return (severity.rank if severity else 99, incident.opened_at)

    return sorted(incidents, key=rank)  # type: ignore[call-overload, no-any-return]


def _summaries(daemon: Daemon, found: Mapping[str, Status]) -> list[Summary]:
    return [
        Summary(
            known,
            count(found[c.id] for c in known.checks),
            len(open_incidents(daemon, system=known.name)),
            _by_cadence(known, found),
        )
        for known in daemon.catalogue.watched
    ]


def _by_cadence(system: System, found: Mapping[str, Status]) -> list[CadenceSummary]:
    """In the catalogue's order, what runs by rules of its own last. A check of two cadences counts in both."""
    members: dict[str, list[Status]] = {name: [] for name in system.cadences}
    for check in system.checks:
        for name in check.cadences or ("",):
            members.setdefault(name, []).append(found[check.id])
    own = members.pop("", [])
    known = [(name, system.cadences[name], statuses_) for name, statuses_ in members.items() if name in system.cadences]
    summaries = [CadenceSummary(name, c.title or name, c.text, count(seen)) for name, c, seen in known if seen]
    return [*summaries, CadenceSummary("", "Rules of their own", "", count(own))] if own else summaries


def _own(daemon: Daemon) -> list[Summary]:
    """healthd itself, where something is wrong with it."""
    open_ = [incident.system for incident in daemon.incidents.values()]
    own = (system for system in daemon.catalogue.systems.values() if system.own)
    summaries = [
        Summary(system, count(statuses(daemon, system.checks).values()), open_.count(system.name)) for system in own
    ]
    return [summary for summary in summaries if summary.status.is_problem]


def _filter(request: Request, system: str = "") -> Filter:
    """From the query; addresses of pages are written by hand too, so what is wrong is said."""
    query = request.query_params
    status = query.get("status", "")
    if status and status not in STATUS_WORDS:
        raise RequestError(400, f"no status {status!r}", f"there are {', '.join(STATUS_WORDS)}")
    return Filter(
        status, system or query.get("system", ""), query.get("cadence", ""), query.get("q", "").strip()[:MAX_SEARCH]
    )


def _listing(request: Request, wanted: Filter, statuses_: Mapping[str, Status]) -> dict[str, Any]:
    number = request.query_params.get("page", "1")
    found = listing(desk_of(request).daemon, wanted, statuses_, int(number[:9]) if number.isdecimal() else 1)
    kept = {k: v for k, v in request.query_params.items() if k in ("status", "system", "cadence", "q") and v}

    def address(**changed: object) -> str:
        """This page with some of its filters changed; an empty one is left out."""
        query = {k: v for k, v in {**kept, **changed}.items() if v}
        return f"{request.url.path}?{urlencode(query)}" if query else request.url.path

    return {"listing": found, "wanted": wanted, "address": address, "catalogue": desk_of(request).daemon.catalogue}


ROUTES = [
    Route("/", overview),
    Route("/systems/{system}", system),
    Route("/systems/{system}/playbooks", playbooks),
]
