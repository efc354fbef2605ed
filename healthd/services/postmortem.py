"""Drafts of post-mortems, from what is stored of an incident."""

from __future__ import annotations

from datetime import timedelta

from healthd.incidents.postmortem import Facts, draft
from healthd.model.catalogue import Catalogue, System
from healthd.model.incidents import Incident
from healthd.store.base import Store


async def postmortem(incident_id: str, store: Store, catalogue: Catalogue, public_url: str) -> str:
    """Markdown; as it is now for one that is still open. KeyError for an unknown incident, or one whose system is no
    longer in the catalogue. May raise StoreError."""
    incident = await store.incident(incident_id)
    system = catalogue.systems.get(incident.system) if incident else None
    if incident is None or system is None:
        raise KeyError(incident_id)
    base = public_url.rstrip("/")
    return draft(
        Facts(
            incident=incident,
            system=system,
            severity=catalogue.severity(system.name, incident.severity),
            members=await store.members(incident_id),
            timeline=await store.timeline(incident_id),
            checks=catalogue.checks,
            url=f"{base}/incidents/{incident_id}" if base else "",
            within=_within(incident, system),
        )
    )


def _within(incident: Incident, system: System) -> timedelta | None:
    """How soon after such an incident one is asked for."""
    tasks = (t for t in system.runbook.attestations if t.within is not None and incident.severity in t.severities)
    return min((t.within for t in tasks if t.within is not None), default=None)
