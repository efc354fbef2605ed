"""What is remembered beside runs and incidents: silences, attestations asked for, reports made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One thing of one kind, written whole (insert or replace by kind and id).

    `at` is what it is sorted by: when a silence was made, an attestation asked for, a checklist run due. It is open
    until `closed_at`: a silence until it ended, an attestation until it was given, a report until it was complete.
    `body` is JSON-able and the kind's own; nothing in it is secret.
    """

    kind: str  # silence, attestation, report
    id: str
    at: datetime
    system: str = ""
    name: str = ""  # of what it is about, within the system
    closed_at: datetime | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.closed_at is None
