"""Which of several replicas works: one leads, the others wait. The lead is a row in the shared database with an end.

A leader that is stopped, cut off or slow loses it to another. What it still tries to write is refused by the database;
what it still wants to send is held back by `valid`, which counts on the machine's own monotonic clock.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from datetime import timedelta

import structlog

from healthd.store.base import Lead, Store, StoreError

TRIES = 4  # to keep the lead, while it lasts
STANDBY = 1.0  # seconds between attempts to take it, at most

log = structlog.get_logger("healthd.lead")


def holder_name() -> str:
    """Of this process, unlike that of any other, and after a restart."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class Leadership:
    """Takes the lead when it can, keeps it, and says when it is lost. `lasts` is how long it goes on without a word."""

    def __init__(self, store: Store, holder: str, address: str, lasts: timedelta) -> None:
        self._store, self.holder, self._address, self._lasts = store, holder, address, lasts
        self._valid_until = 0.0
        self.leader: Lead | None = None  # as last heard

    @property
    def valid(self) -> bool:
        """Whether the lead is ours for certain at this instant."""
        return asyncio.get_running_loop().time() < self._valid_until

    async def attempt(self) -> bool:
        """Take the lead if it is free. Raises StoreError."""
        lead = await self._try()
        if lead.mine:
            log.info("leading", holder=self.holder, epoch=lead.epoch)
        return lead.mine

    async def win(self) -> None:
        """Wait until it is ours."""
        while True:
            await asyncio.sleep(min(STANDBY, self._pause))
            try:
                if await self.attempt():
                    return
            except StoreError as error:
                log.warning("lead_unknown", reason=error.reason)

    async def keep(self) -> str:
        """Keep it until another has it; then who that is. While the database is away nobody can have it."""
        while True:
            await asyncio.sleep(self._pause)
            try:
                lead = await self._try()
            except StoreError as error:
                log.warning("lead_not_confirmed", reason=error.reason, valid=self.valid)
                continue
            if not lead.mine:
                log.error("lead_lost", to=lead.holder)
                return lead.holder

    async def resign(self, within: float = 2.0) -> None:
        """Let another have it at once."""
        if self.leader is None or not self.leader.mine:
            return
        self._valid_until = 0.0
        try:
            await asyncio.wait_for(self._store.resign(self.holder), within)
        except (StoreError, TimeoutError):
            log.warning("lead_not_given_up", consequence=f"it ends by itself within {self._lasts.total_seconds():g} s")

    @property
    def _pause(self) -> float:
        return self._lasts.total_seconds() / TRIES

    async def _try(self) -> Lead:
        asked = asyncio.get_running_loop().time()
        lead = await self._store.lead(self.holder, self._address, self._lasts)
        # counted from before the question: what the database grants begins later
        self._valid_until = asked + self._lasts.total_seconds() if lead.mine else 0.0
        self.leader = lead
        return lead
