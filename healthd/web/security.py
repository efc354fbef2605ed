"""Who may do what: the bearer token, sessions of browsers that know it, and forms that are ours.

A session is a signed cookie, `expires.name.signature`; its key is derived from the token, so that a new token ends
every session and no session outlives a restart's needs: nothing is stored. Forms carry a signature of the session,
and are refused when the browser says that they come from elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from healthd.settings import Settings

COOKIE = "healthd_session"
LASTING = timedelta(hours=12)
MAX_ACTOR = 80
NO_TOKEN = "this healthd has no token, so nothing can be changed through its port"  # noqa: S105 - a sentence
NO_TOKEN_HINT = "set HEALTHD_TOKEN (or HEALTHD_TOKEN_FILE) and restart it"  # noqa: S105 - a sentence


class RequestError(Exception):
    """A request that is answered with an error: status, what is wrong, and what would help."""

    def __init__(self, status: int, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.status, self.error, self.hint = status, error, hint


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that gave the token. `name` is what its user wants to be called in the audit log."""

    name: str
    form_key: str  # what a form must carry


class Gate:
    """Decides on requests, by the settings' token."""

    def __init__(self, settings: Settings) -> None:
        token = settings.token.get_secret_value() if settings.token else ""
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"healthd session", "sha256")
        self._read_open = settings.read_open
        self.secure = settings.public_url.startswith("https:")

    @property
    def has_token(self) -> bool:
        """Without one nothing can be changed."""
        return bool(self._token)

    def knows(self, given: str) -> bool:
        """Whether `given` is the token, compared in constant time."""
        return self.has_token and hmac.compare_digest(given.encode(), self._token)

    def has_bearer(self, request: HTTPConnection) -> bool:
        """Whether the request carries the token."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.knows(given.strip())

    def may_read(self, request: HTTPConnection, now: datetime) -> bool:
        """Pages and API: open unless a token is set and the settings close them."""
        if self._read_open or not self.has_token:
            return True
        return self.has_bearer(request) or self.session(request, now) is not None

    def require_token(self, request: HTTPConnection) -> None:
        """For whatever changes something through the API. Raises RequestError."""
        if not self.has_token:
            raise RequestError(403, NO_TOKEN, NO_TOKEN_HINT)
        if not request.headers.get("authorization"):
            raise RequestError(
                401, "a token is needed to change something", "send Authorization: Bearer <HEALTHD_TOKEN>"
            )
        if not self.has_bearer(request):
            raise RequestError(401, "the token is wrong", "send Authorization: Bearer <HEALTHD_TOKEN>")

    def require_form(self, request: HTTPConnection, form_key: str, now: datetime) -> Session:
        """For whatever changes something through a page. Raises RequestError."""
        if not self.has_token:
            raise RequestError(403, NO_TOKEN, NO_TOKEN_HINT)
        require_same_origin(request)
        session = self.session(request, now)
        if session is None:
            raise RequestError(401, "sign in first", "the session is over, or the token has changed")
        if not hmac.compare_digest(form_key.encode(), session.form_key.encode()):
            raise RequestError(
                403, "this form does not belong to your session", "go back, reload the page and try again"
            )
        return session

    # -- sessions --------------------------------------------------------------------------------------------------

    def begin(self, name: str, now: datetime) -> str:
        """The cookie of a new session."""
        expires = int((now + LASTING).timestamp())
        body = f"{expires}.{urlsafe_b64encode(name.encode()).decode()}"
        return f"{body}.{self._sign('session', body)}"

    def session(self, request: HTTPConnection, now: datetime) -> Session | None:
        """The session of a request, None without one or when it is over."""
        body, _, signature = request.cookies.get(COOKIE, "").rpartition(".")
        if not self.has_token or not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return None
        expires, _, name = body.partition(".")
        if int(expires) < now.timestamp():
            return None
        return Session(urlsafe_b64decode(name).decode(), self._sign("form", body))

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def require_same_origin(request: HTTPConnection) -> None:
    """Refuse a form that another site sent. Browsers say so; what says nothing is no browser."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RequestError(403, "this form was sent from another site")
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise RequestError(403, "this form was sent from another site", "a proxy must pass on the Host header")


def actor_name(given: object, default: str) -> str:
    """A name for the audit log: one printable line of bounded length; `default` where there is none."""
    text = given if isinstance(given, str) else ""
    printable = "".join(c if unicodedata.category(c)[0] not in "CZ" else " " for c in text)
    return " ".join(printable.split())[:MAX_ACTOR] or default
