"""What a path may be asked: all routes that fit it, not just the first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Match, Mount

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def allowed(request: Request) -> str:
    """The value of an Allow header: HEAD is answered wherever GET is, and OPTIONS everywhere."""
    found = [method for method in METHODS if _is_taken(request, method)] or ["GET"]  # files take no other
    return ", ".join([*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"])


def _is_taken(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    routes = (route for route in request.app.routes if not isinstance(route, Mount))
    return any(route.matches(scope)[0] is Match.FULL for route in routes)
