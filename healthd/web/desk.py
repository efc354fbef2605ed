"""What every handler works with: the daemon, the gate, the templates and the clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog
from starlette.requests import Request

from healthd.model.catalogue import Check
from healthd.model.outcomes import Outcome
from healthd.store.base import StoreError
from healthd.web.daemon import Daemon
from healthd.web.nearest import nearest
from healthd.web.problem import RequestError
from healthd.web.security import Gate, Session, session_of
from healthd.web.templating import Templates
from healthd.web.throttle import Throttle
from healthd.web.visitors import Visitor

log = structlog.get_logger("healthd.web")
T = TypeVar("T")
REFUSALS, REFUSALS_EVERY = 30, 10.0  # wrong tokens that the audit log takes at once; one more every so many seconds
AUDIT_PATIENCE = 2.0  # seconds an answer waits for its line in the audit log
STORE_PATIENCE = 10.0  # seconds a page waits for the store
RUN_PATIENCE = 30.0  # seconds beyond a check's own timeout that a run may wait for its turn and its record


@dataclass(frozen=True, slots=True)
class Desk:
    """One per application."""

    daemon: Daemon
    gate: Gate
    templates: Templates
    now: Callable[[], datetime]
    hooks: asyncio.Lock = field(default_factory=asyncio.Lock)  # sent twice at once, a webhook is acted upon once
    refusals: Throttle = field(default_factory=lambda: Throttle(REFUSALS, REFUSALS_EVERY))

    def session(self, request: Request) -> Session | None:
        """Of the browser that asks, if it has one."""
        return session_of(request)

    async def note(self, actor: str, action: str, target: str, detail: str = "") -> None:
        """A line in the audit log, if the store takes it soon."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.daemon.write_audit(actor, action, target, detail), AUDIT_PATIENCE)

    async def refused(self, visitor: Visitor, how: str, name: str = "") -> None:
        """Somebody gave a wrong token. The audit log takes a few of them, the log all."""
        log.warning("token_refused", address=visitor.address, how=how, name=name)
        now = self.now()
        if not self.refusals.wait("", now):
            self.refusals.take("", now)
            await self.note(name or "somebody", "sign in refused", visitor.address, f"wrong token ({how})")

    def check(self, system: str, name: str) -> Check:
        """Raises RequestError 404 with the nearest one."""
        checks = self.daemon.catalogue.checks
        check_id = f"{system}/{name}"
        if check_id not in checks:
            raise RequestError(404, f"no check {check_id!r}", nearest(check_id, checks))
        return checks[check_id]

    def require_ready(self) -> None:
        """Raises RequestError 503 while the daemon cannot run and record anything."""
        if reasons := self.daemon.unready():
            raise RequestError(503, "healthd is not ready: " + "; ".join(reasons), "try again shortly")

    async def ask(self, question: Awaitable[T]) -> T:
        """An answer of the store. Raises StoreError, also when it takes too long."""
        try:
            return await asyncio.wait_for(question, STORE_PATIENCE)
        except TimeoutError:
            raise StoreError(f"the database did not answer within {STORE_PATIENCE:g}s") from None

    async def change(self, work: Awaitable[T], patience: float = RUN_PATIENCE) -> T:
        """Something that changes state and is recorded. Raises RequestError 503 when it takes too long: it goes on."""
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(work)), patience)
        except TimeoutError:
            raise RequestError(503, f"not done after {patience:g}s; it goes on", "look again shortly") from None

    async def run(self, check: Check, actor: str) -> Outcome:
        """Run a check now and wait until it is recorded."""
        attempts = check.timeout.total_seconds() * check.retry.attempts
        backing_off = check.retry.backoff.total_seconds() * 2**check.retry.attempts
        return await self.change(self.daemon.run_now(check.id, actor), attempts + backing_off + RUN_PATIENCE)


def desk_of(request: Request) -> Desk:
    """The desk of the application that answers this request."""
    desk: Desk = request.app.state.desk
    return desk
