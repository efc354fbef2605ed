"""Open incidents by what fails in them: those of a system, or of a check, are all that it has a part in."""

from __future__ import annotations

from collections.abc import Iterable

from healthd.model.incidents import Incident
from healthd.web.daemon import Daemon


def open_incidents(daemon: Daemon, *, system: str = "", check: str = "") -> list[Incident]:
    """Empty words do not restrict. In no particular order."""
    if check:
        return _known(daemon, [check])
    if system:
        known = daemon.catalogue.systems.get(system)
        own = _known(daemon, (c.id for c in known.checks) if known else ())
        return list({incident.id: incident for incident in own}.values())
    return list(daemon.incidents.values())


def _known(daemon: Daemon, check_ids: Iterable[str]) -> list[Incident]:
    found = (daemon.incidents.get(daemon.incident_of.get(check_id, "")) for check_id in check_ids)
    return [incident for incident in found if incident is not None]
