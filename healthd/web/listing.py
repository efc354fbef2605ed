"""Which checks a page shows: filtered, then grouped by cadence while they are few, worst first and paged when many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from healthd.model.catalogue import Catalogue, Check
from healthd.web.daemon import Daemon
from healthd.web.standing import Standing, Status, standings, statuses
from healthd.web.words import duration

FOLD = 300  # more checks than this are listed worst first, page by page
PAGE = 100


@dataclass(frozen=True, slots=True)
class Filter:
    """What was asked for; empty words do not restrict. `status` may be "problem": critical, warning or unknown."""

    status: str = ""
    system: str = ""
    cadence: str = ""
    text: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.status or self.system or self.cadence or self.text)

    def matches(self, check: Check, status: Status) -> bool:
        if self.status and self.status != status and not (self.status == "problem" and status.is_problem):
            return False
        if (self.system and check.system != self.system) or (self.cadence and self.cadence not in check.cadences):
            return False
        if not self.text:
            return True
        needle = self.text.casefold()
        return needle in check.id.casefold() or needle in check.title.casefold()


STATUS_WORDS = ("problem", *(status.value for status in Status))


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that run together."""

    title: str
    cadence: str  # empty for those that follow a rule of their own
    text: str  # when, in words
    rows: list[Standing] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SystemPart:
    """One system's groups."""

    name: str
    title: str
    groups: list[Group]


@dataclass(frozen=True, slots=True)
class Listing:
    """Either `systems` (few checks) or `rows`, one page of `pages` (many)."""

    total: int
    systems: list[SystemPart]
    rows: list[Standing]
    page: int
    pages: int


def chosen(daemon: Daemon, wanted: Filter, found: Mapping[str, Status] | None = None) -> list[Check]:
    """The checks that match, in the catalogue's order. `found`: their statuses, where they are known already."""
    checks = _of_system(daemon.catalogue, wanted.system)
    if found is None:
        found = statuses(daemon, checks)
    return [check for check in checks if wanted.matches(check, found[check.id])]


def listing(daemon: Daemon, wanted: Filter, found: Mapping[str, Status], page: int = 1) -> Listing:
    """What to show of the checks that match; `found` are the statuses of all that may."""
    checks = chosen(daemon, wanted, found)
    if len(checks) <= FOLD:
        return Listing(len(checks), _by_system(daemon, checks, wanted.cadence), [], 1, 1)
    checks.sort(key=lambda check: found[check.id].rank)
    pages = -(-len(checks) // PAGE)
    page = min(max(1, page), pages)
    rows = standings(daemon, checks[(page - 1) * PAGE : page * PAGE])
    return Listing(len(checks), [], rows, page, pages)


def _of_system(catalogue: Catalogue, system: str) -> Sequence[Check]:
    if not system:
        return catalogue.watched_checks
    found = catalogue.systems.get(system)
    return found.checks if found else ()


def _by_system(daemon: Daemon, checks: Iterable[Check], cadence: str) -> list[SystemPart]:
    groups: dict[tuple[str, str, str], Group] = {}
    parts: dict[str, SystemPart] = {}
    for row in standings(daemon, checks):
        check = row.check
        system = daemon.catalogue.systems[check.system]
        part = parts.setdefault(system.name, SystemPart(system.name, system.title, []))
        name = cadence or (check.cadences[0] if check.cadences else "")
        key = (system.name, name, "" if name else own_rule(check))
        if key not in groups:
            known = system.cadences.get(name)
            groups[key] = Group(known.title or name, name, known.text) if known else Group(key[2], "", "")
            part.groups.append(groups[key])
        groups[key].rows.append(row)
    return list(parts.values())


def own_rule(check: Check) -> str:
    """When a check without a cadence runs, in words."""
    if check.interval is not None:
        return f"Every {duration(check.interval)}"
    crons = [cron for rule in check.rules for cron in rule.crons]
    return f"At {', '.join(crons)}" if crons else "On demand"
