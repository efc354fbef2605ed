"""A page as an answer: its template with what every page shows."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from healthd.web.desk import desk_of
from healthd.web.security import visitor_of

REFRESH_SECONDS = 3
UTC = ZoneInfo("UTC")
# what a browser counts on by itself: "12s ago", and the time that the page is of
MOVING = re.compile(r'(<time data-live="(?:ago|soon|for)"[^>]*>)[^<]*|<time data-live="now"[^>]*>[^<]*')


async def page(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """`template` rendered with `context` and what every page shows; 304 for a browser that has all of it already."""
    desk = desk_of(request)
    common = {
        "now": desk.now(),
        "utc": UTC,
        "session": desk.session(request),
        "person": visitor_of(request).user,
        "can_sign_in": desk.gate.has_token,
        "session_lifetime": desk.gate.sessions.lifetime,
        "path": request.url.path,
        "here": here(request),
        "open_incidents": len(desk.daemon.incidents),
        "own_system": next((s.name for s in desk.daemon.catalogue.systems.values() if s.own), ""),
        "open_tasks": len(desk.daemon.attestations.open),
        "refresh": REFRESH_SECONDS if status == 200 else 0,
    }
    html = await desk.templates.render(template, {**common, **context})
    if status != 200:
        return HTMLResponse(html, status)
    tag = blake2b(MOVING.sub(r"\1", html).encode(), digest_size=12).hexdigest()
    headers = {"ETag": f'W/"{tag}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return HTMLResponse(html.replace('data-tag=""', f'data-tag="{tag}"', 1), headers=headers)


def here(request: Request) -> str:
    """This page's address, to come back to after signing in; of a form that was sent, that of the page it stands on."""
    if request.method in ("GET", "HEAD"):
        return _local(request.url.path, request.url.query)
    came_from = urlsplit(request.headers.get("referer", ""))
    ours = came_from.netloc.lower() == visitor_of(request).host.lower()
    return _local(came_from.path, came_from.query) if ours and came_from.path else "/"


def _local(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
