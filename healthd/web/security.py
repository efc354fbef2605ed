"""Who may do what: the bearer token, sessions of browsers that know it, people whom a proxy knows, forms that are ours.

Every request has a visitor and perhaps a session (healthd.web.arrival puts them into its state); the gate decides.
"""

from __future__ import annotations

import hmac
import secrets
import unicodedata
from datetime import datetime
from urllib.parse import urlsplit

import structlog
from starlette.requests import HTTPConnection

from healthd.settings import Settings
from healthd.web.problem import RequestError
from healthd.web.sessions import Session, Sessions
from healthd.web.throttle import Throttle, neighbourhood
from healthd.web.visitors import Reception, Visitor

__all__ = ["Gate", "Session"]

MAX_ACTOR = 80
SHORT_TOKEN = 16  # characters
WRONG_TOKENS, WRONG_EVERY = 20, 3.0  # an address may be wrong so often at once, and again every so many seconds
NO_TOKEN = "this healthd has no token, so nothing can be changed through its port"  # noqa: S105 - a sentence
NO_TOKEN_HINT = "set HEALTHD_TOKEN (or HEALTHD_TOKEN_FILE) and restart it"  # noqa: S105 - a sentence
SEND_TOKEN = "send Authorization: Bearer <HEALTHD_TOKEN>"  # noqa: S105 - a sentence
AT_PROXY = "sign in at the proxy before healthd"
SIMPLE = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")  # what any site may send

log = structlog.get_logger("healthd.web")


class Gate:
    """Decides on requests, by the settings."""

    def __init__(self, settings: Settings) -> None:
        token = settings.token.get_secret_value() if settings.token else ""
        if token and len(token) < SHORT_TOKEN:
            log.warning("token_short", characters=len(token), hint="it can be guessed: openssl rand -hex 32 makes one")
        self._token = token.encode()
        key = _shared_key(settings)
        self.sessions = Sessions(
            hmac.digest(key, b"healthd session", "sha256"), settings.session_lifetime, settings.session_idle
        )
        self.reception = Reception(settings, key)
        self._read_open = settings.read_open
        self._wrong = Throttle(WRONG_TOKENS, WRONG_EVERY)

    @property
    def has_token(self) -> bool:
        """Whether one may sign in here."""
        return bool(self._token)

    @property
    def takes_changes(self) -> bool:
        """Whether anybody may change anything."""
        return self.has_token or self.reception.knows_people

    @property
    def reads_openly(self) -> bool:
        """Whether anybody may read: also where there is no way to sign in."""
        return self._read_open or not self.takes_changes

    # -- tokens ----------------------------------------------------------------------------------------------------

    def knows(self, given: str, visitor: Visitor, now: datetime) -> bool:
        """Whether `given` is the token, compared in constant time. Raises RequestError 429 for an address that was
        wrong too often: what it gives is not looked at."""
        if not self.has_token or not given:
            return False
        address = neighbourhood(visitor.address)
        if wait := self._wrong.wait(address, now):
            raise RequestError(429, "too many wrong tokens from this address", f"wait {wait:.0f} s", retry_after=wait)
        if hmac.compare_digest(given.encode("utf-8", "replace"), self._token):
            return True
        self._wrong.take(address, now)
        return False

    def has_bearer(self, request: HTTPConnection, now: datetime) -> bool:
        """Whether the request carries the token: asked once for each. Raises RequestError 429."""
        state = request.scope["state"]
        if "bearer" not in state:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            given = given.strip() if scheme.lower() == "bearer" else ""
            state["bearer"] = self.knows(given, visitor_of(request), now)
            # a proxy may send a token of its own along with the person's name
            state["wrong_token"] = bool(given) and not state["bearer"] and not visitor_of(request).user
        return bool(state["bearer"])

    def may_read(self, request: HTTPConnection, now: datetime) -> bool:
        """Pages and API: open unless closed while there is a way to sign in. Raises RequestError 429."""
        if self.reads_openly:
            return True
        known = visitor_of(request).user or session_of(request) is not None
        return bool(known) or self.has_bearer(request, now)

    def require_token(self, request: HTTPConnection, now: datetime) -> None:
        """For whatever changes something through the API: the token, or a person whom a proxy knows. Raises
        RequestError."""
        self._require_takes_changes()
        visitor = visitor_of(request)
        if visitor.user and self.reception.may_change(visitor):
            require_program(request)
            return
        if visitor.user and not (self.has_token and self.has_bearer(request, now)):
            raise RequestError(403, f"you may not change anything as {visitor.user}", "HEALTHD_EDITORS says who may")
        if not self.has_token:
            raise RequestError(401, "nobody is signed in", AT_PROXY)
        if not request.headers.get("authorization"):
            raise RequestError(401, "a token is needed to change something", SEND_TOKEN)
        if not self.has_bearer(request, now):
            raise RequestError(401, "the token is wrong", SEND_TOKEN)

    def _require_takes_changes(self) -> None:
        if not self.takes_changes:
            raise RequestError(403, NO_TOKEN, NO_TOKEN_HINT)

    # -- forms -----------------------------------------------------------------------------------------------------

    def require_form(self, request: HTTPConnection, form_key: str, now: datetime) -> Session:
        """For whatever changes something through a page. Raises RequestError."""
        self._require_takes_changes()
        require_same_origin(request)
        session = session_of(request)
        if session is None:
            raise self._not_signed_in(visitor_of(request))
        if not hmac.compare_digest(form_key.encode("utf-8", "replace"), session.form_key.encode()):
            raise RequestError(
                403, "this form does not belong to your session", "go back, reload the page and try again"
            )
        return session

    def _not_signed_in(self, visitor: Visitor) -> RequestError:
        if visitor.user:
            return RequestError(403, f"you may not change anything as {visitor.user}", "HEALTHD_EDITORS says who may")
        hint = "the session is over, or the token has changed" if self.has_token else AT_PROXY
        return RequestError(401, "sign in first", hint)

    # -- names -----------------------------------------------------------------------------------------------------

    def actor(self, request: HTTPConnection, given: object, default: str) -> str:
        """For the audit log: who a proxy says it is, and what they call themselves beside it. Where people are known,
        names that come with the token say so: anybody who has it can give any."""
        said = actor_name(given, "")
        user = visitor_of(request).user
        if user:
            return user if said in ("", user, default) else f"{user} (as {said})"
        return self.token_name(said or default)

    def token_name(self, name: str) -> str:
        """A name given with the token."""
        return f"{name} (token)" if self.reception.knows_people else name


def visitor_of(request: HTTPConnection) -> Visitor:
    """Who sends a request."""
    found: Visitor = request.scope["state"]["visitor"]
    return found


def session_of(request: HTTPConnection) -> Session | None:
    """The session of who sends it."""
    found: Session | None = request.scope["state"].get("session")
    return found


def require_same_origin(request: HTTPConnection) -> None:
    """Refuse what another site sent. Browsers say so; what says nothing is no browser. Raises RequestError 403."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RequestError(403, "this form was sent from another site")
    origin = request.headers.get("origin")
    if origin is None:
        return
    ours = {visitor_of(request).host.lower(), request.headers.get("host", "").lower()}
    if urlsplit(origin).netloc.lower() not in ours - {""}:
        raise RequestError(
            403, "this form was sent from another site",
            "a proxy must pass on the Host header, or X-Forwarded-Host from HEALTHD_TRUSTED_PROXIES",
        )  # fmt: skip


def require_program(request: HTTPConnection) -> None:
    """Refuse what a foreign page can make a browser send along with the proxy's cookie. Raises RequestError."""
    require_same_origin(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in SIMPLE:
        raise RequestError(415, f"the API takes no {kind}", "send Content-Type: application/json")


def actor_name(given: object, default: str) -> str:
    """A name for the audit log: one printable line of bounded length; `default` where there is none."""
    text = given if isinstance(given, str) else ""
    printable = "".join(c if unicodedata.category(c)[0] not in "CZ" else " " for c in text)
    return " ".join(printable.split())[:MAX_ACTOR] or default


def _shared_key(settings: Settings) -> bytes:
    """What all replicas know and nobody else: the token; without one the database's address, which holds a password;
    a file's has none, and no other replica."""
    if settings.token:
        return settings.token.get_secret_value().encode()
    database = settings.database_url.get_secret_value()
    return secrets.token_bytes(32) if database.startswith("sqlite") else database.encode()
