"""One checklist as it stands: what a person would tick off one by one."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from healthd.schedule import next_fire
from healthd.web.checklists import checklist, last_due
from healthd.web.desk import desk_of
from healthd.web.listing import FOLD
from healthd.web.nearest import nearest
from healthd.web.problem import RequestError
from healthd.web.standing import count, overall
from healthd.web.views import page


async def show(request: Request) -> Response:
    """`/checklists/{system}/{cadence}`: every check of it, those that need attention first."""
    desk = desk_of(request)
    daemon, now = desk.daemon, desk.now()
    system = daemon.catalogue.systems.get(request.path_params["system"])
    cadence = system.cadences.get(request.path_params["cadence"]) if system else None
    if system is None or cadence is None or cadence.rule.is_interval:
        known = [f"{s.name}/{c.name}" for s in daemon.catalogue.systems.values() for c in s.cadences.values()]
        wanted = f"{request.path_params['system']}/{request.path_params['cadence']}"
        raise RequestError(404, f"no checklist {wanted[:100]!r}", nearest(wanted, known))
    due = await asyncio.to_thread(last_due, cadence, now)
    entries = checklist(daemon, system, cadence, due)
    counts = count(entry.status for entry in entries)
    entries.sort(key=lambda entry: entry.status.rank)
    shown = entries[:FOLD]
    return await page(
        request, "checklist.html", system=system, cadence=cadence, due=due, entries=shown,
        more=len(entries) - len(shown), counts=counts,
        overall=overall(counts), following=next_fire(cadence.rule, now), zone=cadence.rule.zone,
    )  # fmt: skip


ROUTES = [Route("/checklists/{system}/{cadence}", show)]
