"""An incident with its members, as kept in memory while it is open and for as long as it may be reopened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from healthd.incidents.lifecycle import severity_of
from healthd.incidents.scale import in_scale, rank, worse
from healthd.model.catalogue import Catalogue
from healthd.model.incidents import Incident, Member
from healthd.model.outcomes import Level, worst

FEW = 50  # failing members among which the worst is looked for at every change; of more it is when they are told


class Case:
    """Keeps what the incident says of its members up to date, whatever they are many: level, severity, counts."""

    __slots__ = ("_levels", "incident", "joined_at", "members", "peak")

    def __init__(self, incident: Incident, members: Iterable[Member]) -> None:
        self.incident = incident
        self.members: dict[str, Member] = {}  # by check id, in the order they joined
        self.peak = Level.OK  # the worst it has had since it opened, or was reopened
        self.joined_at = incident.since
        self._levels: Counter[Level] = Counter()
        for member in members:
            self._keep(member)

    @property
    def failing(self) -> list[Member]:
        """Those that fail now, in the order they joined."""
        return [member for member in self.members.values() if member.is_failing]

    def put(self, member: Member, catalogue: Catalogue) -> None:
        """A member joins, changes or recovers."""
        self._keep(member)
        before = self.incident
        level = worst(*self._levels) if self._levels else before.level
        reason = before.reason
        failing = self._levels.total()
        if failing and (failing <= FEW or level is not before.level):
            lead = self.lead(catalogue)
            reason = lead.reason if lead else reason
        self.incident = replace(
            before,
            level=level,
            severity=worse(catalogue, before.system, before.severity, member) if member.is_failing else before.severity,
            reason=reason,
            failing=failing,
            joined=len(self.members),
        )

    def drop(self, check_id: str) -> None:
        """A member is another incident's from now on."""
        member = self.members.pop(check_id)
        if member.is_failing:
            self._forget(member.level)

    def rescale(self, catalogue: Catalogue) -> tuple[Member, ...]:
        """Severities follow the catalogue in force; the members whose severity changed."""
        changed = []
        for member in self.members.values():
            check = catalogue.checks.get(member.check_id)
            if check is not None and (own := severity_of(check, member.peak)) != member.severity:
                changed.append(replace(member, severity=own))
        self.members.update((member.check_id, member) for member in changed)
        self.incident = replace(self.incident, severity=self._severity(catalogue))
        return tuple(changed)

    def _severity(self, catalogue: Catalogue) -> str:
        """The worst of all that failed since it opened, or was reopened."""
        system, since = self.incident.system, self.incident.since
        counted = [m for m in self.members.values() if m.is_failing or m.since >= since]
        if not counted:
            return self.incident.severity
        return in_scale(catalogue, system, min(counted, key=lambda member: rank(catalogue, member)))

    def lead(self, catalogue: Catalogue) -> Member | None:
        """The member to show first: the worst of those that fail, the oldest of equals; once none does, the one that
        opened it, or any."""

        def order(member: Member) -> tuple[int, int, object]:
            return (rank(catalogue, member), -member.level.badness, member.since)

        failing = self.failing
        if failing:
            return min(failing, key=order)
        return self.members.get(self.incident.check_id) or next(iter(self.members.values()), None)

    def _keep(self, member: Member) -> None:
        before = self.members.get(member.check_id)
        if before is not None and before.is_failing:
            self._forget(before.level)
        elif member.is_failing:
            self.joined_at = max(self.joined_at, member.since)
        self.members[member.check_id] = member
        if member.is_failing:
            self._levels[member.level] += 1
        if member.is_failing or member.since >= self.incident.since:
            self.peak = worst(self.peak, member.peak)

    def _forget(self, level: Level) -> None:
        self._levels[level] -= 1
        if not self._levels[level]:
            del self._levels[level]
