"""The checks of an incident, as a message shows them: counts by system, and the worst by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from healthd.model.catalogue import Catalogue, Severity
from healthd.model.incidents import Incident, Member
from healthd.model.times import rfc3339
from healthd.notify.compose import clean

SHOWN = 10
SYSTEMS = 20


def compose_members(
    incident: Incident, members: Sequence[Member], catalogue: Catalogue, public_url: str, redact: Callable[[str], str]
) -> dict[str, Any] | None:
    """The key `members` of a message's body (see message.py); None without any."""
    if not members:
        return None

    def order(member: Member) -> tuple[bool, int, int, object]:
        rank = _severity(catalogue, member).rank
        return (not member.is_failing, rank, -member.level.badness, member.since)

    ordered = sorted(members, key=order)
    failing = sum(member.is_failing for member in members)
    shown: dict[str, Any] = clean(
        {
            "worst": ordered[0].severity,
            "systems": _systems(members, catalogue)[:SYSTEMS],
            "checks": [_check(member, catalogue) for member in ordered[:SHOWN]],
        },
        redact,
    )
    base = public_url.rstrip("/")
    for check, member in zip(shown["checks"], ordered[:SHOWN], strict=True):
        check |= {"id": member.check_id, "url": f"{base}/checks/{member.check_id}" if base else ""}
    counts = {"total": len(members), "failing": failing, "recovered": len(members) - failing}
    return {**counts, "storm": incident.storm, **shown, "more": max(0, len(members) - SHOWN)}


def _systems(members: Sequence[Member], catalogue: Catalogue) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for member in members:
        name = member.system
        if name not in found:
            system = catalogue.systems.get(name)
            found[name] = {"name": name, "title": system.title if system else name, "failing": 0, "total": 0}
        found[name]["total"] += 1
        found[name]["failing"] += member.is_failing
    return sorted(found.values(), key=lambda system: (-system["failing"], -system["total"]))


def _check(member: Member, catalogue: Catalogue) -> dict[str, Any]:
    check = catalogue.checks.get(member.check_id)
    return {
        "id": "",
        "title": check.title if check else member.check_id,
        "system": member.system,
        "level": member.level.name.lower(),
        "severity": member.severity,
        "since": rfc3339(member.since),
        "reason": member.reason,
        "url": "",
        "recovered": not member.is_failing,
    }


def _severity(catalogue: Catalogue, member: Member) -> Severity:
    system = catalogue.systems.get(member.system)
    return (system.severities.get(member.severity) if system else None) or Severity(member.severity, 3)
