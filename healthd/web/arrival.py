"""What happens to a request first: who sends it, by which name it calls us, and which session it belongs to."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from healthd.settings import Settings
from healthd.store.base import StoreError
from healthd.web.desk import Desk, desk_of
from healthd.web.errors import brief
from healthd.web.problem import RequestError
from healthd.web.security import visitor_of
from healthd.web.sessions import COOKIE, SECURE_COOKIE, Session, Ticket
from healthd.web.visitors import Visitor

MAX_HEAD = 16_384  # bytes of all headers
LOOPBACK = ("localhost", "127.", "::1")


class Arrival:
    """Finds the visitor, and refuses names that are not ours.

    A page of another site may point its own name at this address and read what we answer (DNS rebinding). It cannot
    do so with an address for a name, so those are always taken.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = _names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        desk = desk_of(request)
        state = scope.setdefault("state", {})
        state["visitor"] = Visitor("", False, "")
        try:
            _require_short_head(scope)
            visitor = state["visitor"] = desk.gate.reception.visitor(scope, desk.now())
            self._require_ours(visitor.host)
        except RequestError as refusal:
            await brief(scope, refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _require_ours(self, host: str) -> None:
        if self._names is None or not host:
            return
        name = _name(host)
        if name in self._names or name.endswith(".localhost") or _is_address(name):
            return
        hint = "HEALTHD_ALLOWED_HOSTS lists the names by which browsers may call it"
        raise RequestError(421, f"this healthd is not called {name[:100]!r}", hint)


def _require_short_head(scope: Scope) -> None:
    """The server bounds what comes in pieces; a head may also come in one."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD:
        raise RequestError(431, f"the request's headers are longer than {MAX_HEAD} bytes")


def _names(settings: Settings) -> frozenset[str] | None:
    """None: any. On loopback browsers of this machine are all who can call it, so that its names are known."""
    if not settings.allowed_hosts and not settings.host.startswith(LOOPBACK):
        return None
    known = {"localhost", socket.gethostname().lower(), *(_name(host) for host in settings.allowed_hosts)}
    for address in (settings.public_url, settings.advertise_url):
        known.add((urlsplit(address).hostname or "").lower())
    return frozenset(known - {""})


def _name(host: str) -> str:
    """Without the port, as one writes it."""
    return (urlsplit(f"//{host}").hostname or "").rstrip(".").lower() if _is_readable(host) else host


def _is_readable(host: str) -> bool:
    try:
        urlsplit(f"//{host}")
    except ValueError:
        return False
    return True


def _is_address(name: str) -> bool:
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


class SessionsOfBrowsers:
    """Finds the session; keeps it alive while somebody does something; writes down who gave a wrong token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        desk = desk_of(request)
        ticket = await _ticket(request, desk)
        state = scope["state"]
        state["ticket"], state["session"] = ticket, _session(desk, visitor_of(request), ticket)
        renewed = ""
        if ticket is not None and request.headers.get("sec-fetch-mode", "navigate") == "navigate":
            renewed = desk.gate.sessions.seen(ticket, desk.now())  # a page that fetches itself is nobody's doing

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and renewed and state["ticket"] is not None:
                cookie = cookie_header(renewed, visitor_of(request), int(desk.gate.sessions.lifetime.total_seconds()))
                message.setdefault("headers", []).append((b"set-cookie", cookie.encode()))
            await send(message)

        await self._app(scope, receive, with_cookie)
        if state.get("wrong_token"):
            await desk.refused(visitor_of(request), "bearer")


def cookie_header(value: str, visitor: Visitor, lasts: int) -> str:
    """Of a session; an empty value ends it in the browser. With TLS it is this host's alone."""
    name, secure = (SECURE_COOKIE, "; Secure") if visitor.https else (COOKIE, "")
    return f"{name}={value}; Path=/; Max-Age={lasts if value else 0}; HttpOnly; SameSite=Strict{secure}"


async def _ticket(request: Request, desk: Desk) -> Ticket | None:
    """What the cookie says, unless it was ended. While the store does not answer nobody is known."""
    gate = desk.gate
    if not gate.has_token:
        return None
    name = SECURE_COOKIE if visitor_of(request).https else COOKIE
    ticket = gate.sessions.read(request.cookies.get(name, ""), desk.now())
    if ticket is None:
        return None
    if not desk.daemon.leading:
        gate.sessions.forget()
    try:
        ended = await gate.sessions.was_ended(ticket, lambda kind, key: desk.ask(desk.daemon.store.record(kind, key)))
    except StoreError:
        return None
    return None if ended else ticket


def _session(desk: Desk, visitor: Visitor, ticket: Ticket | None) -> Session | None:
    """A person whom a proxy knows stays that person, whatever name they gave with the token."""
    gate = desk.gate
    if visitor.user and (ticket is not None or gate.reception.may_change(visitor)):
        return gate.sessions.of_person(visitor.user, ticket)
    return gate.sessions.session(ticket) if ticket is not None else None
