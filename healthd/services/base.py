"""What every service is, and what of the daemon it works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from healthd.corridor import Corridor
from healthd.look import Looker
from healthd.metrics import Metrics
from healthd.model.catalogue import Catalogue
from healthd.schedule import Limits
from healthd.settings import Settings
from healthd.store.base import AuditEntry, Store
from healthd.store.recorder import Recorder
from healthd.telling import Teller

log = structlog.get_logger("healthd")
Audit = Callable[[str, str, str, str], Awaitable[None]]  # actor, action, target, detail


@dataclass(frozen=True, slots=True)
class House:
    """The rooms a service may use. What it writes goes through `recorder`, what it tells through `teller`."""

    settings: Settings
    store: Store
    recorder: Recorder
    corridor: Corridor
    teller: Teller
    metrics: Metrics
    now: Callable[[], datetime]
    audit: Audit
    looker: Looker
    slots: Limits

    def audited(self, actor: str, action: str, target: str, detail: str = "") -> AuditEntry:
        """A line of the audit log, to be committed with what it tells of."""
        log.info("audit", actor=actor, action=action, target=target)
        return AuditEntry(self.now(), actor, action, target, self.teller.redact(detail))


class Service(Protocol):
    """One concern that needs its own memory or clock. All of it runs in the event loop."""

    async def restore(self) -> None:
        """Once, when the store is open and the corridor remembers, before the first `adopt`. May raise StoreError."""

    def adopt(self, catalogue: Catalogue) -> None:
        """A catalogue comes into force: the first, or after a reload."""

    async def scan(self, now: datetime) -> None:
        """Called every second; returns soon. What it raises is logged, and the other services go on."""

    async def close(self) -> None:
        """End what runs in the background."""
