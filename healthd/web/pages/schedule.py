"""What runs when."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from healthd.web.coming import coming, intervals
from healthd.web.desk import desk_of
from healthd.web.security import RequestError
from healthd.web.views import page

AHEAD = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31), "year": timedelta(days=366)}
MOST = 200


async def schedule(request: Request) -> Response:
    """`/schedule`: the coming calendar runs, those that start together in one row; intervals summed up."""
    desk = desk_of(request)
    ahead, system = request.query_params.get("ahead", "week"), request.query_params.get("system", "")
    if ahead not in AHEAD:
        raise RequestError(400, f"no such time ahead: {ahead[:40]!r}", f"there are {', '.join(AHEAD)}")
    catalogue, now = desk.daemon.catalogue, desk.now()
    runs = await asyncio.to_thread(coming, catalogue, now, now + AHEAD[ahead], MOST, system)
    steady = await asyncio.to_thread(intervals, catalogue, system)
    return await page(
        request, "schedule.html", runs=runs, most=MOST, ahead=ahead, choices=list(AHEAD), system=system,
        systems=catalogue.systems, intervals=steady,
    )  # fmt: skip


ROUTES = [Route("/schedule", schedule)]
