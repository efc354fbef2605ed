"""Severities compared across systems, each of which has a scale of its own."""

from __future__ import annotations

from healthd.model.catalogue import Catalogue, Severity
from healthd.model.incidents import Member


def severity(catalogue: Catalogue, system: str, name: str) -> Severity:
    """A step of a system's scale; a nameless middle one for a system, or a step, that is not there."""
    known = catalogue.systems.get(system)
    return (known.severities.get(name) if known else None) or Severity(name, 3)


def rank(catalogue: Catalogue, member: Member) -> int:
    """1 is the worst."""
    return severity(catalogue, member.system, member.severity).rank


def in_scale(catalogue: Catalogue, system: str, member: Member) -> str:
    """What `system` calls the severity of a member: of one of another system, its own step of the same rank, or the
    nearest; of two equally near, the worse."""
    known = catalogue.systems.get(system)
    if member.system == system or known is None or not known.severities:
        return member.severity
    own = rank(catalogue, member)
    return min(known.severities.values(), key=lambda step: (abs(step.rank - own), step.rank)).name


def worse(catalogue: Catalogue, system: str, name: str, member: Member) -> str:
    """The worse of a severity of `system` and that of a member, in the scale of `system`."""
    if severity(catalogue, system, name).rank <= rank(catalogue, member):
        return name
    return in_scale(catalogue, system, member)
