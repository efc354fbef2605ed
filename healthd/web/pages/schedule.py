"""What runs when: a month as a calendar, and the coming runs one by one."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from healthd.web.calendar import FIRST, LAST, month
from healthd.web.coming import coming, intervals
from healthd.web.desk import desk_of
from healthd.web.nearest import require_system
from healthd.web.problem import RequestError
from healthd.web.views import page

AHEAD = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31), "year": timedelta(days=366)}
MOST = 200


async def schedule(request: Request) -> Response:
    """`/schedule`: `?month=2026-01` as a calendar; the coming runs, those that start together in one row."""
    desk = desk_of(request)
    query = request.query_params
    ahead, system = query.get("ahead", "day"), query.get("system", "")
    if ahead not in AHEAD:
        raise RequestError(400, f"no such time ahead: {ahead[:40]!r}", f"there are {', '.join(AHEAD)}")
    catalogue, now = desk.daemon.catalogue, desk.now()
    require_system(system, catalogue.systems)
    today = now.astimezone(catalogue.systems[system].zone).date() if system else now.date()
    first = _month(query.get("month", ""), today)
    shown = await asyncio.to_thread(month, catalogue, tuple(desk.daemon.windows.known), first, today, system)
    runs = await asyncio.to_thread(coming, catalogue, now, now + AHEAD[ahead], MOST, system)
    steady = await asyncio.to_thread(intervals, catalogue, system)
    return await page(
        request, "schedule.html", runs=runs, most=MOST, ahead=ahead, choices=list(AHEAD), system=system,
        systems=catalogue.systems, intervals=steady, month=shown,
    )  # fmt: skip


def _month(text: str, today: date) -> date:
    """The first day of the month written, of this one without any. Raises RequestError 400."""
    if not text:
        return today.replace(day=1)
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise RequestError(400, f"month: {text[:40]!r} is not a month", "write it like 2026-01") from None
    if not FIRST <= found <= LAST:
        raise RequestError(400, f"month: {text[:40]!r} is out of reach", f"from {FIRST:%Y-%m} to {LAST:%Y-%m}")
    return found


ROUTES = [Route("/schedule", schedule)]
