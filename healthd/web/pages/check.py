"""One check: what it is, how it stands, what it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from healthd.model.catalogue import Check
from healthd.model.runbook import Document, Item
from healthd.schedule import next_fire
from healthd.store.base import StoreError
from healthd.web.body import form
from healthd.web.definition import definition
from healthd.web.desk import Desk, desk_of
from healthd.web.history import RANGES, default_range, recorded
from healthd.web.moments import moment
from healthd.web.standing import standing
from healthd.web.views import REFRESH_SECONDS, page
from healthd.web.words import schedule_words

OUTCOMES = 25
INCIDENTS = 10
NEXT = 5
LIMITS = ("target", "acceptable", "warning", "critical")
MAX_MEASUREMENTS = 100
SLOW = 15  # seconds


@dataclass(frozen=True, slots=True)
class Past:
    """What the store knows. `problem` says why it does not answer."""

    history: Any = None
    outcomes: Any = ()
    incidents: Any = ()
    problem: str = ""


async def show(request: Request) -> Response:
    """`/checks/{system}/{name}`. Without the store it still shows everything that is in memory."""
    desk = desk_of(request)
    check = desk.check(request.path_params["system"], request.path_params["name"])
    system = desk.daemon.catalogue.systems[check.system]
    return await page(
        request,
        "check.html",
        check=check,
        system=system,
        zone=system.zone,
        row=standing(desk.daemon, check),
        past=await _past(request, desk, check),
        ranges=RANGES,
        limits=[name for name in LIMITS if any(getattr(row, name) for row in check.thresholds)],
        before=request.query_params.get("before", ""),
        definition=definition(check, desk.daemon),
        schedule=schedule_words(check, system),
        next_runs=next_runs(check, desk.now()),
        dependants=[c for c in system.checks if check.id in c.depends_on],
        covered=[(reference, *_item(desk, reference)) for reference in check.covers],
        playbook=system.playbooks.get(check.playbook or ""),
        max_measurements=MAX_MEASUREMENTS,
        page_size=OUTCOMES,
        refresh=_refresh(check, request.query_params.get("range") or default_range(check)),
    )


def _item(desk: Desk, reference: str) -> tuple[Item | None, Document | None]:
    """The documented item of any system that is referred to so."""
    name, _, item_id = reference.partition("/")
    for system in desk.daemon.catalogue.systems.values():
        for document in system.runbook.documents:
            if document.name == name:
                item = next((item for item in document.items if item.id == item_id), None)
                if item is not None:
                    return item, document
    return None, None


async def run(request: Request) -> Response:
    """`POST /checks/{system}/{name}/run` from the page's form."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    check = desk.check(request.path_params["system"], request.path_params["name"])
    desk.require_ready()
    await desk.run(check, session.name)
    return RedirectResponse(f"/checks/{check.id}", 303)


def next_runs(check: Check, now: datetime) -> list[datetime]:
    """The coming calendar runs; none for a check that runs at intervals or not at all."""
    if not check.enabled:
        return []
    found: set[datetime] = set()
    for rule in check.rules:
        at: datetime | None = now
        for _ in range(0 if rule.is_interval else NEXT):
            at = next_fire(rule, at) if at else None
            found |= {at} if at else set()
    return sorted(found)[:NEXT]


def _refresh(check: Check, range_: str) -> int:
    """Seconds until the page fetches itself again: not before there can be something new to see."""
    if range_ != "hour" or check.interval is None:
        return SLOW
    return round(min(max(check.interval.total_seconds(), REFRESH_SECONDS), SLOW))


async def _past(request: Request, desk: Desk, check: Check) -> Past:
    query, store = request.query_params, desk.daemon.store
    name = query.get("range") or default_range(check)
    before = moment(query.get("before", ""), "before") if query.get("before") else None
    try:
        history = await recorded(desk, check, name, query.get("measure", ""), query.get("series", ""))
        outcomes = await desk.ask(store.outcomes(check.id, before=before, limit=OUTCOMES))
        incidents = await desk.ask(store.incidents(check_id=check.id, limit=INCIDENTS))
    except StoreError as error:
        return Past(problem=error.reason)
    return Past(history, outcomes, incidents)


ROUTES = [
    Route("/checks/{system}/{name}", show),
    Route("/checks/{system}/{name}/run", run, methods=["POST"]),
]
