"""What keeps incidents quiet, asked whenever one is to be told; and what was missed, told when the quiet is over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from healthd.incidents import Decision
from healthd.incidents.silences import hushed, spoken
from healthd.model.catalogue import Catalogue, Check
from healthd.model.incidents import Incident
from healthd.services.base import House


class Hush(Protocol):
    """Something that keeps incidents quiet. `generation` changes whenever its answers may."""

    @property
    def generation(self) -> int: ...

    def why(self, incident: Incident, check: Check) -> str:
        """Why nobody is to be told of it now; "" for no reason."""


class Quiet:
    """Asks `hushes` for the teller, and looks through the open incidents whenever one of them changes.

    What an incident's details say ("quiet") is what was last seen to keep it quiet: it survives a restart, so that what
    became due to be told while healthd was away is told afterwards.
    """

    def __init__(self, house: House, hushes: Sequence[Hush]) -> None:
        self._house, self._hushes = house, hushes
        self._seen: tuple[int, ...] = ()
        self._counted: dict[str, tuple[str, str]] = {}  # incident id -> the labels it is counted under
        self._review: asyncio.Task[None] | None = None
        house.teller.quiet.append(self.why)
        house.corridor.on_incident.append(self._changed)

    def why(self, incident: Incident, check: Check) -> str:
        """The first reason there is; "" for none."""
        return next((why for hush in self._hushes if (why := hush.why(incident, check))), "")

    async def restore(self) -> None:
        """What is open is counted."""
        for incident in self._house.corridor.incidents.values():
            self._count(incident)

    def adopt(self, catalogue: Catalogue) -> None:
        """Labels and windows may have changed: everything is looked through."""
        self._seen = ()

    async def scan(self, now: datetime) -> None:
        """Look through the open incidents if something that keeps them quiet has changed."""
        seen = tuple(hush.generation for hush in self._hushes)
        busy = self._review is not None and not self._review.done()
        if seen != self._seen and not busy:
            self._seen = seen
            self._review = asyncio.get_running_loop().create_task(self._look_through())

    async def close(self) -> None:
        """What was not reached is reached after the restart."""
        if self._review is not None:
            self._review.cancel()
            await asyncio.gather(self._review, return_exceptions=True)

    async def _look_through(self) -> None:
        for position, incident_id in enumerate(list(self._house.corridor.incidents)):
            incident = self._house.corridor.incidents.get(incident_id)
            if incident is not None and self._decision(incident) is not None:
                await self._house.corridor.amend(incident_id, self._decision)
            elif position % 100 == 0:
                await asyncio.sleep(0)

    def _decision(self, incident: Incident) -> Decision | None:
        check = self._house.corridor.checks.get(incident.check_id)
        if check is None:
            return None
        why, noted, now = self.why(incident, check), str(incident.details.get("quiet", "")), self._house.now()
        if why:
            return hushed(incident, now, why) if why != noted else None
        return spoken(incident, now) if noted else None

    def _changed(self, decision: Decision, incident: Incident) -> None:
        self._count(incident)

    def _count(self, incident: Incident) -> None:
        gauge = self._house.metrics.incidents_silenced
        before = self._counted.pop(incident.id, None)
        if before is not None:
            gauge.labels(*before).dec()
        if incident.is_open and incident.details.get("quiet"):
            labels = self._counted[incident.id] = (incident.system, incident.severity)
            gauge.labels(*labels).inc()
