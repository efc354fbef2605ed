"""What is kept quiet: silences, and maintenance windows."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from healthd.web import quiet
from healthd.web.body import form
from healthd.web.desk import desk_of
from healthd.web.pages.incidents import MAX_NOTE, find
from healthd.web.problem import MENDABLE, RequestError
from healthd.web.views import page

PAST = 50
DURATIONS = ("30m", "1h", "2h", "4h", "8h", "24h", "3d", "7d")


async def silences(request: Request) -> Response:
    """`/silences`: those in effect and to come, those that are over, and a form for a new one."""
    return await _silences(request, {"matchers": request.query_params.get("matchers", "")[:500]})


async def _silences(request: Request, fields: Mapping[str, str], failed: RequestError | None = None) -> Response:
    """With the form as it was filled in, and why it was refused."""
    desk = desk_of(request)
    now = desk.now()
    known = desk.daemon.silences.known
    past = [s for s in await desk.ask(desk.daemon.silences.recorded(PAST)) if s.state(now) == "expired"]
    return await page(
        request, "silences.html", failed.status if failed else 200, silences=known, past=past,
        about=desk.daemon.silences.about, durations=DURATIONS, max_note=MAX_NOTE, fields=fields, failed=failed,
    )  # fmt: skip


async def add_silence(request: Request) -> Response:
    """`POST /silences` from the page's form: matchers separated by spaces or lines."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    times = (fields.get("starts_at", ""), fields.get("ends_at", ""), fields.get("duration", ""))
    try:
        await quiet.silence(desk, _words(fields.get("matchers", "")), session.name, fields.get("reason", ""), times)
    except RequestError as failed:
        if failed.status not in MENDABLE:
            raise
        return await _silences(request, fields, failed)
    return RedirectResponse("/silences", 303)


def _words(text: str) -> list[str]:
    """Separated by spaces, but for those within quotes. Raises RequestError 400."""
    try:
        return shlex.split(text)
    except ValueError:
        raise RequestError(400, "matchers: a quotation mark is not closed") from None


async def expire_silence(request: Request) -> Response:
    """`POST /silences/{id}/expire`."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    await quiet.expire(desk, request.path_params["silence"], session.name)
    return RedirectResponse("/silences", 303)


async def silence_incident(request: Request) -> Response:
    """`POST /incidents/{id}/silence`: its check for a while, or the incident itself where it has several."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    incident = await find(desk, request.path_params["incident"])
    matchers = [f"check={incident.check_id}" if incident.joined <= 1 else f"incident={incident.id}"]
    await quiet.silence(desk, matchers, session.name, fields.get("reason", ""), ("", "", fields.get("duration", "")))
    return RedirectResponse(f"/incidents/{incident.id}", 303)


async def windows(request: Request) -> Response:
    """`/windows`: open ones, coming ones, those that are over, and a form to add one."""
    return await _windows(request, {})


async def _windows(request: Request, fields: Mapping[str, str], failed: RequestError | None = None) -> Response:
    """With the form as it was filled in, and why it was refused."""
    desk = desk_of(request)
    return await page(
        request, "windows.html", failed.status if failed else 200, windows=desk.daemon.windows.known,
        past=await desk.ask(desk.daemon.windows.past(PAST)), systems=desk.daemon.catalogue.systems,
        durations=DURATIONS, max_note=MAX_NOTE, fields=fields, failed=failed,
    )  # fmt: skip


async def add_window(request: Request) -> Response:
    """`POST /windows` from the page's form; its start is in UTC."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    planned = (fields.get("system", ""), fields.get("reason", ""), session.name)
    times = (fields.get("starts_at", ""), "", fields.get("duration", ""))
    try:
        await quiet.add_window(desk, planned, times, fields.get("notice", ""))
    except RequestError as failed:
        if failed.status not in MENDABLE:
            raise
        return await _windows(request, fields, failed)
    return RedirectResponse("/windows", 303)


async def end_window(request: Request) -> Response:
    """`POST /windows/{id}/end`."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    await quiet.end_window(desk, request.path_params["window"], session.name)
    return RedirectResponse("/windows", 303)


ROUTES = [
    Route("/silences", silences),
    Route("/silences", add_silence, methods=["POST"]),
    Route("/silences/{silence}/expire", expire_silence, methods=["POST"]),
    Route("/incidents/{incident}/silence", silence_incident, methods=["POST"]),
    Route("/windows", windows),
    Route("/windows", add_window, methods=["POST"]),
    Route("/windows/{window}/end", end_window, methods=["POST"]),
]
