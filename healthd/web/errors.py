"""Every error as an answer: JSON for programs, a page for people; never a traceback."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Scope

from healthd.store.base import StoreError
from healthd.web.methods import allowed
from healthd.web.problem import RequestError
from healthd.web.views import here, page

PROBLEM = "application/problem+json"
FOR_PROGRAMS = ("/api", "/-/", "/metrics", "/healthz", "/readyz", "/static/", "/hooks/", "/badge/")
TRY_AGAIN = "5"  # seconds: a database that was away, a leader that is being chosen

log = structlog.get_logger("healthd.web")


def refusal_of(error: Exception) -> RequestError:
    """What to say of an exception. One that nobody expected is not quoted."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, StoreError):
        return RequestError(503, f"the database did not answer: {error.reason}", "checks go on; try again shortly")
    if isinstance(error, HTTPException):
        hint = "the API is described at /api/docs" if error.status_code == 404 else ""
        return RequestError(error.status_code, HTTPStatus(error.status_code).phrase.lower(), hint)
    return RequestError(500, "healthd made a mistake answering this", "its log says more; checks go on")


async def answer(request: Request, error: Exception) -> Response:
    """The answer to a request that failed, or asks what may be asked."""
    refusal = refusal_of(error)
    headers = dict(getattr(error, "headers", None) or {})
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="healthd"'
    if refusal.status == 503:
        headers.setdefault("Retry-After", TRY_AGAIN)
    if refusal.status == 405:
        headers["Allow"] = allowed(request)
        refusal.hint = f"allowed: {headers['Allow']}"
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    if request.url.path.startswith(FOR_PROGRAMS):
        return JSONResponse(as_json(refusal), refusal.status, headers, media_type=PROBLEM)
    title = HTTPStatus(refusal.status).phrase
    template = "sign-in.html" if refusal.status == 401 else "error.html"
    context = {
        "title": title,
        "refusal": refusal,
        "failed": "",
        "target": here(request),
        "unsent": request.method not in ("GET", "HEAD"),
    }
    response = await page(request, template, refusal.status, **context)
    response.headers.update(headers)
    return response


def brief(scope: Scope, refusal: RequestError) -> Response:
    """The answer to a request that is not worth a page: it comes in crowds."""
    headers = dict(refusal.headers)
    if scope["path"].startswith(FOR_PROGRAMS):
        return JSONResponse(as_json(refusal), refusal.status, headers, media_type=PROBLEM)
    text = f"{refusal.error}: {refusal.hint}" if refusal.hint else refusal.error
    return PlainTextResponse(f"{text}\n", refusal.status, headers)


async def unexpected(request: Request, error: Exception) -> Response:
    """As `answer`, for an exception that is a mistake of ours: the log has it in full."""
    log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
    return await answer(request, error)


def as_json(refusal: RequestError) -> dict[str, Any]:
    """A problem as RFC 9457 has it, `detail` being also `error`; with `hint` where there is one."""
    title = HTTPStatus(refusal.status).phrase
    problem = {"type": "about:blank", "title": title, "status": refusal.status, "detail": refusal.error}
    return problem | {"error": refusal.error} | ({"hint": refusal.hint} if refusal.hint else {})
