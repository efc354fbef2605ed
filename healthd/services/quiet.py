"""What keeps incidents quiet, asked whenever one is to be told; and what was missed, told when the quiet is over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from healthd.incidents import Decision
from healthd.incidents.silences import hushed, spoken
from healthd.model.catalogue import Catalogue, Check
from healthd.model.incidents import Incident
from healthd.model.tasks import end_tasks
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
        self._counted: set[tuple[str, str]] = set()  # the labels that something is counted under
        self._review: asyncio.Task[None] | None = None
        self._changed: set[str] = set()  # incidents that something happened to: other checks of theirs may fail now
        house.corridor.on_incident.append(lambda decision, incident: self._changed.add(incident.id))
        house.teller.quiet.append(self.why)

    def why(self, incident: Incident, check: Check) -> str:
        """The first reason there is; "" for none."""
        return next((why for hush in self._hushes if (why := hush.why(incident, check))), "")

    async def restore(self) -> None:
        """The incidents themselves say what kept them quiet."""

    def adopt(self, catalogue: Catalogue) -> None:
        """Labels and windows may have changed: everything is looked through."""
        self._seen = ()

    async def scan(self, now: datetime) -> None:
        """Look through the open incidents if something that keeps them quiet has changed."""
        seen = tuple(hush.generation for hush in self._hushes)
        if (seen != self._seen or self._changed) and (self._review is None or self._review.done()):
            wanted = list(self._changed if seen == self._seen else self._house.corridor.incidents)
            self._seen, self._changed = seen, set()
            self._review = asyncio.get_running_loop().create_task(self._look_through(wanted))
        self._count()

    async def close(self) -> None:
        """What was not reached is reached after the restart."""
        await end_tasks([self._review])

    async def _look_through(self, incident_ids: Sequence[str]) -> None:
        for position, incident_id in enumerate(incident_ids):
            incident = self._house.corridor.incidents.get(incident_id)
            if incident is not None and self._decision(incident) is not None:
                await self._house.corridor.amend(incident_id, self._decision)
            elif position % 20 == 0:
                await asyncio.sleep(0)

    def _decision(self, incident: Incident) -> Decision | None:
        corridor, teller = self._house.corridor, self._house.teller
        check = corridor.checks.get(incident.check_id)
        failing = teller.failing(corridor.members(incident.id)) or ([check] if check else [])
        if not failing:
            return None
        why, noted = teller.why_all_quiet(incident, failing), str(incident.details.get("quiet", ""))
        if why:
            return hushed(incident, self._house.now(), why) if why != noted else None
        return spoken(incident, self._house.now()) if noted else None

    def _count(self) -> None:
        incidents = self._house.corridor.incidents.values()
        found = Counter((i.system, i.severity) for i in incidents if i.details.get("quiet"))
        gauge = self._house.metrics.incidents_silenced
        for labels in found.keys() | self._counted:
            gauge.labels(*labels).set(found[labels])
        self._counted = set(found)
