"""Incidents: those that are open, those that are over, and one with everything known of it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from healthd.model.incidents import Incident
from healthd.web.body import form
from healthd.web.desk import Desk, desk_of
from healthd.web.membership import open_incidents
from healthd.web.moments import moment
from healthd.web.nearest import require_system
from healthd.web.pages.overview import by_severity
from healthd.web.problem import RequestError
from healthd.web.standing import standing
from healthd.web.views import UTC, page

PAGE = 50
MEMBERS = 100  # on one page, with what was seen of each
ENTRIES = 200  # of a timeline: the last ones, where there are more
MAX_NOTE = 1_000


async def index(request: Request) -> Response:
    """`/incidents`: the open ones, worst first, and the others, newest first."""
    desk = desk_of(request)
    query = request.query_params
    system = query.get("system", "")
    before = moment(query["before"], "before") if query.get("before") else None
    newest = await desk.ask(desk.daemon.store.incidents(system=system, before=before, limit=PAGE))
    open_ = by_severity(desk.daemon.catalogue, open_incidents(desk.daemon, system=system)) if before is None else []
    if not newest and not open_:  # of a system that was taken out of the catalogue there may be some
        require_system(system, desk.daemon.catalogue.systems)
    number, pages = paged(query.get("page", ""), len(open_))
    return await page(
        request,
        "incidents.html",
        incidents=open_[(number - 1) * PAGE : number * PAGE],
        open_total=len(open_),
        number=number,
        pages=pages,
        closed=[incident for incident in newest if not incident.is_open],
        older=newest[-1].opened_at if len(newest) == PAGE else None,
        before=before,
        system=system,
        systems=[known.name for known in desk.daemon.catalogue.watched],
    )


async def show(request: Request) -> Response:
    """`/incidents/{id}`."""
    desk = desk_of(request)
    incident = await find(desk, request.path_params["incident"])
    catalogue = desk.daemon.catalogue
    system, check = catalogue.systems.get(incident.system), catalogue.checks.get(incident.check_id)
    told = dict(incident.details.get("body", {}))
    store = desk.daemon.store
    number, pages = paged(request.query_params.get("members", ""), incident.joined, MEMBERS)
    members = await desk.ask(store.members(incident.id, offset=(number - 1) * MEMBERS, limit=MEMBERS))
    timeline = await desk.ask(store.timeline(incident.id))
    playbook = system.playbooks.get(incident.playbook) if system else None
    return await page(
        request,
        "incident.html",
        incident=incident,
        system=system,
        check=check,
        zone=system.zone if system else UTC,
        severity=system.severities.get(incident.severity) if system else None,
        row=standing(desk.daemon, check) if check else None,
        told=told,
        diagnosis=incident.details.get("diagnosis"),
        climb=desk.daemon.climb(incident),
        channels=desk.daemon.channels,
        playbook=playbook or told.get("playbook"),
        quiet=[check_id for check_id, cause in desk.daemon.suppressed.items() if cause == incident.check_id],
        timeline=[*timeline[:1], *timeline[1:][-ENTRIES:]],
        left_out=max(0, len(timeline) - ENTRIES - 1),
        members=members if incident.joined > 1 else [],
        number=number,
        pages=pages,
        max_note=MAX_NOTE,
    )


async def acknowledge(request: Request) -> Response:
    """`POST /incidents/{id}/acknowledge` from the page's form."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    incident_id = request.path_params["incident"]
    await take(desk, incident_id, session.name, fields.get("note", ""))
    return RedirectResponse(f"/incidents/{incident_id}", 303)


def paged(wanted: str, total: int, size: int = PAGE) -> tuple[int, int]:
    """The number of the page asked for, within those there are, and how many there are."""
    pages = max(1, -(-total // size))
    return min(max(1, int(wanted[:9]) if wanted.isdecimal() else 1), pages), pages


async def find(desk: Desk, incident_id: str) -> Incident:
    """Raises RequestError 404."""
    found = desk.daemon.incidents.get(incident_id) or await desk.ask(desk.daemon.store.incident(incident_id))
    if found is None:
        raise RequestError(404, f"no incident {incident_id[:60]!r}", "all of them are listed at /incidents")
    return found


async def take(desk: Desk, incident_id: str, actor: str, note: str) -> Incident:
    """Acknowledge an open incident. Raises RequestError 404 for an unknown one, 409 for one that is over."""
    if incident_id not in desk.daemon.incidents:
        ended = await find(desk, incident_id)
        raise RequestError(409, f"{ended.id} is over already", "only open incidents can be acknowledged")
    desk.require_ready()
    try:
        return await desk.change(desk.daemon.acknowledge(incident_id, actor, clean_note(note)))
    except KeyError:
        raise RequestError(409, f"{incident_id} is over already", "only open incidents can be acknowledged") from None


def clean_note(note: str) -> str:
    """Printable, on one line, bounded."""
    return " ".join("".join(c if c.isprintable() else " " for c in note).split())[:MAX_NOTE]


ROUTES = [
    Route("/incidents", index),
    Route("/incidents/{incident}", show),
    Route("/incidents/{incident}/acknowledge", acknowledge, methods=["POST"]),
]
