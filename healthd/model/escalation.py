"""How far an incident has climbed its system's escalation chain, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Climb:
    """`told` are the levels reached, in the order of the chain; `next` the one that follows unless the incident is
    `until` (acknowledged or resolved), `who` it is and `at` what time ("" and None: none follows, or the clocks stand
    still).

    `respond_by` is when the response is late, None when it was in time, is late already, or none is asked for.
    """

    told: tuple[str, ...] = ()
    next: str = ""
    who: str = ""
    until: str = ""
    at: datetime | None = None
    respond_by: datetime | None = None
