"""Sessions of browsers that gave the token, and of people whom a proxy knows.

A session is a signed cookie, `id.started.seen.name.signature`: every replica that has the same token takes it, a new
token ends every session, and nothing is stored of those that are open. What is stored is which ones were ended before
their time, for as long as they would have lasted.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from healthd.model.records import Record

KIND = "session"
REFRESH = timedelta(minutes=1)  # how exactly it is known when something was last done
MOST_KNOWN = 10_000
COOKIE, SECURE_COOKIE = "healthd_session", "__Host-healthd_session"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who may change something. `name` is what they are called in the audit log."""

    name: str
    form_key: str  # what a form must carry
    by_proxy: bool = False  # nothing here can end it


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a cookie says. `id` is random."""

    id: str
    started: datetime
    seen: datetime
    name: str

    @property
    def digest(self) -> str:
        """What stands for it in the store: nobody signs in with that."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:32]


class Sessions:
    """Cookies, and which of them were ended. `lifetime` from signing in, `idle` from the last thing done."""

    def __init__(self, key: bytes, lifetime: timedelta, idle: timedelta) -> None:
        self._key = key
        self.lifetime, self.idle = lifetime, idle
        self._known: OrderedDict[str, bool] = OrderedDict()  # digest -> whether it was ended

    def begin(self, name: str, now: datetime) -> str:
        """The cookie of a new session."""
        return self._cookie(Ticket(secrets.token_urlsafe(18), now, now, name))

    def read(self, cookie: str, now: datetime) -> Ticket | None:
        """None for what is no cookie of ours, or too old."""
        body, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self.sign("session", body).encode()):
            return None
        key, started, seen, name = body.split(".")
        zone = now.tzinfo
        began, last = datetime.fromtimestamp(int(started), zone), datetime.fromtimestamp(int(seen), zone)
        if now - began >= self.lifetime or now - last >= self.idle:
            return None
        return Ticket(key, began, last, urlsafe_b64decode(name).decode())

    def seen(self, ticket: Ticket, now: datetime) -> str:
        """The cookie of somebody who goes on; "" while the one they have is new enough."""
        return self._cookie(replace(ticket, seen=now)) if now - ticket.seen >= REFRESH else ""

    def session(self, ticket: Ticket) -> Session:
        """What it stands for."""
        return Session(ticket.name, self.sign("form", ticket.id))

    def of_person(self, name: str, ticket: Ticket | None) -> Session:
        """Of somebody whom a proxy knows, and who may have signed in besides."""
        return Session(name, self.sign("person", name), by_proxy=ticket is None)

    def sign(self, purpose: str, text: str) -> str:
        """What only we could have written."""
        return hmac.new(self._key, f"{purpose}:{text}".encode("utf-8", "replace"), "sha256").hexdigest()

    # -- ended before their time -----------------------------------------------------------------------------------

    async def was_ended(self, ticket: Ticket, ask: Callable[[str, str], Awaitable[Record | None]]) -> bool:
        """Whether somebody signed out of it, here or at another replica; asked of the store once. Raises StoreError."""
        if ticket.digest not in self._known:
            self._remember(ticket.digest, await ask(KIND, ticket.digest) is not None)
        return self._known[ticket.digest]

    def end(self, ticket: Ticket, now: datetime) -> Record:
        """No longer taken from now on. To be stored, so that it stays so."""
        self._remember(ticket.digest, True)
        return Record(KIND, ticket.digest, now, name=ticket.name, closed_at=now)

    def forget(self) -> None:
        """What was known: another replica may have ended sessions since."""
        self._known.clear()

    def _remember(self, digest: str, ended: bool) -> None:
        self._known[digest] = ended
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def _cookie(self, ticket: Ticket) -> str:
        name = urlsafe_b64encode(ticket.name.encode()).decode()
        body = f"{ticket.id}.{int(ticket.started.timestamp())}.{int(ticket.seen.timestamp())}.{name}"
        return f"{body}.{self.sign('session', body)}"
