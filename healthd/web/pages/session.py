"""Signing in and out."""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from healthd.store.base import Commit, StoreError
from healthd.web.arrival import cookie_header
from healthd.web.body import form
from healthd.web.desk import Desk, desk_of
from healthd.web.problem import RequestError
from healthd.web.security import (
    AT_PROXY,
    NO_TOKEN,
    NO_TOKEN_HINT,
    actor_name,
    require_same_origin,
    visitor_of,
)
from healthd.web.sessions import Ticket
from healthd.web.views import page

log = structlog.get_logger("healthd.web")


async def show(request: Request) -> Response:
    """`/sign-in?next=/...`: asks for the token."""
    _require_token_configured(request)
    return await _ask(request, local_target(request.query_params.get("next", "/")))


async def sign_in(request: Request) -> Response:
    """Begins a session for whoever knows the token, and goes back to where they came from."""
    desk, visitor = desk_of(request), visitor_of(request)
    _require_token_configured(request)
    require_same_origin(request)
    fields = await form(request)
    target, name = local_target(fields.get("next", "/")), actor_name(fields.get("name"), "page")
    try:
        knows = desk.gate.knows(fields.get("token", "").strip(), visitor, desk.now())
    except RequestError as refusal:
        answer = await _ask(request, target, failed=f"{refusal.error.capitalize()}: {refusal.hint}.", status=429)
        answer.headers.update(refusal.headers)
        return answer
    if not knows:
        await desk.refused(visitor, "page", name)
        return await _ask(request, target, failed="That is not the token.", status=403)
    name = visitor.user or desk.gate.token_name(name)
    await desk.note(name, "sign in", visitor.address)
    sessions = desk.gate.sessions
    return _with_cookie(request, target, sessions.begin(name, desk.now()), int(sessions.lifetime.total_seconds()))


async def sign_out(request: Request) -> Response:
    """Ends the session, here and wherever else its cookie may be."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    ticket: Ticket | None = request.state.ticket
    if ticket is not None:
        await _end(desk, ticket)
        await desk.note(session.name, "sign out", visitor_of(request).address)
    return _with_cookie(request, "/", "", 0)


async def _end(desk: Desk, ticket: Ticket) -> None:
    record = desk.gate.sessions.end(ticket, desk.now())
    try:
        await desk.ask(desk.daemon.store.commit(Commit(records=(record,))))
    except StoreError as error:
        log.error("session_end_not_saved", reason=error.reason, consequence="its cookie is taken again after a restart")


def _with_cookie(request: Request, target: str, value: str, lasts: int) -> Response:
    request.state.ticket = None  # the one that came with the request is not kept alive
    response = RedirectResponse(target, 303)
    response.headers.append("Set-Cookie", cookie_header(value, visitor_of(request), lasts))
    return response


async def _ask(request: Request, target: str, failed: str = "", status: int = 200) -> Response:
    return await page(
        request,
        "sign-in.html",
        status,
        title="Sign in",
        target=target,
        failed=failed,
        refusal=None,
        unsent=False,
        refresh=0,
    )


def _require_token_configured(request: Request) -> None:
    gate = desk_of(request).gate
    if not gate.has_token:
        raise RequestError(403, NO_TOKEN, AT_PROXY if gate.takes_changes else NO_TOKEN_HINT)


def local_target(text: str) -> str:
    """A path of this site, never another site's address."""
    fine = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if fine else "/"


ROUTES = [
    Route("/sign-in", show),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]
