"""Signing in and out."""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from healthd.web.body import form
from healthd.web.desk import desk_of
from healthd.web.security import COOKIE, LASTING, NO_TOKEN, NO_TOKEN_HINT, RequestError, actor_name, require_same_origin
from healthd.web.views import page

log = structlog.get_logger("healthd.web")


async def show(request: Request) -> Response:
    """`/sign-in?next=/...`: asks for the token."""
    _require_token_configured(request)
    return await _ask(request, local_target(request.query_params.get("next", "/")))


async def sign_in(request: Request) -> Response:
    """Begins a session for whoever knows the token, and goes back to where they came from."""
    desk = desk_of(request)
    _require_token_configured(request)
    require_same_origin(request)
    fields = await form(request)
    target = local_target(fields.get("next", "/"))
    if not desk.gate.knows(fields.get("token", "").strip()):
        log.warning("sign_in_refused", client=request.client.host if request.client else "")
        return await _ask(request, target, failed="That is not the token.", status=403)
    name = actor_name(fields.get("name"), "page")
    log.info("signed_in", actor=name)
    response = RedirectResponse(target, 303)
    response.set_cookie(
        COOKIE, desk.gate.begin(name, desk.now()), max_age=int(LASTING.total_seconds()),
        httponly=True, samesite="strict", secure=desk.gate.secure, path="/",
    )  # fmt: skip
    return response


async def sign_out(request: Request) -> Response:
    """Forgets the session."""
    desk = desk_of(request)
    fields = await form(request)
    desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    response = RedirectResponse("/", 303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=desk.gate.secure)
    return response


async def _ask(request: Request, target: str, failed: str = "", status: int = 200) -> Response:
    return await page(
        request, "sign-in.html", status, title="Sign in", target=target, failed=failed, refusal=None, refresh=0
    )


def _require_token_configured(request: Request) -> None:
    if not desk_of(request).gate.has_token:
        raise RequestError(403, NO_TOKEN, NO_TOKEN_HINT)


def local_target(text: str) -> str:
    """A path of this site, never another site's address."""
    fine = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if fine else "/"


ROUTES = [
    Route("/sign-in", show),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]
