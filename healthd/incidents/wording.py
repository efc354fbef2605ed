"""What an incident of several checks is called, and what is new of it: one line each, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from healthd.incidents.case import Case
from healthd.model.catalogue import Catalogue
from healthd.model.incidents import Member

NAMES = 10  # checks named in one line
SYSTEMS = 5


def names(check_ids: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(check_ids) - NAMES} more" if len(check_ids) > NAMES else ""
    return ", ".join(check_ids[:NAMES]) + more


def describe(case: Case, catalogue: Catalogue) -> tuple[str, str]:
    """Title and reason: those of the worst check that fails, and how many others do."""
    incident, lead = case.incident, case.lead(catalogue)
    if lead is None or len(case.members) == 1:
        return incident.title, incident.reason
    failing = case.failing
    if incident.storm:
        shown = failing or list(case.members.values())
        many = f"{len(failing)} of {len(case.members)}" if 0 < len(failing) < len(case.members) else f"{len(shown)}"
        title = f"Storm: {many} checks {'fail' if failing else 'failed'} in {_places(shown, catalogue)}"
        return title, f"{_counts(shown)}; worst: {lead.check_id}: {lead.reason}"
    check = catalogue.checks.get(lead.check_id)
    title = check.title if check else incident.title
    others = (len(failing) or len(case.members)) - 1
    return (f"{title}, and {_checks(others)} more" if others else title), lead.reason


def news(case: Case, kind: str, since: datetime | None) -> dict[str, Any]:
    """What is new since it was last told, for `kind` joined, recovered or storm (see message.py, `update`)."""
    members, failing = list(case.members.values()), case.failing
    new = [m.check_id for m in failing if since is None or m.since > since]
    over = [m.check_id for m in members if m.recovered_at and (since is None or m.recovered_at > since)]
    parts = []
    if kind == "storm":
        parts.append(f"A storm: {_checks(len(failing))} began to fire at about the same time ({_counts(failing)}).")
    elif new:
        parts.append(f"{_checks(len(new))} more {'fails' if len(new) == 1 else 'fail'}: {names(new)}.")
    if over:
        parts.append(f"{_checks(len(over))} recovered: {names(over)}.")
    if kind != "storm":
        parts.append(f"{len(failing)} of {_checks(len(members))} {'fails' if len(failing) == 1 else 'fail'} now.")
    return {"kind": kind, "text": " ".join(parts), "level": "", "title": "", "who": "", "address": ""}


def _checks(count: int) -> str:
    return f"{count} check{'' if count == 1 else 's'}"


def _by_system(members: Sequence[Member]) -> list[tuple[str, int]]:
    return Counter(member.system for member in members).most_common()


def _counts(members: Sequence[Member]) -> str:
    found = _by_system(members)
    more = f" and {len(found) - SYSTEMS} more systems" if len(found) > SYSTEMS else ""
    return ", ".join(f"{system} {count}" for system, count in found[:SYSTEMS]) + more


def _places(members: Sequence[Member], catalogue: Catalogue) -> str:
    found = _by_system(members)
    if len(found) > 1:
        return f"{len(found)} systems"
    known = catalogue.systems.get(found[0][0])
    return known.title if known else found[0][0]
