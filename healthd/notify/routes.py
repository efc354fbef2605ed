"""Which channels hear of an incident."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from healthd.model.catalogue import Route
from healthd.model.outcomes import Level


def match(
    routes: Sequence[Route],
    *,
    system: str,
    severity: str,
    check_id: str,
    level: Level,
    labels: Mapping[str, str],
    known: Collection[str],
) -> tuple[str, ...]:
    """The channels to tell, each once, in the order the routes name them.

    Routes are tried from the first; one that matches adds its channels, and ends the search unless it continues.
    Globs ignore case. A `checks` glob without a slash is also held against the name after the system's.
    Channels not in `known` are left out. Without any route everything goes to all `known` channels; with routes
    that all fail to match, to none.
    """
    if not routes:
        return tuple(known)
    chosen: dict[str, None] = {}
    for route in routes:
        if _applies(route, system=system, severity=severity, check_id=check_id, level=level, labels=labels):
            chosen |= dict.fromkeys(name for name in route.channels if name in known)
            if not route.continue_:
                break
    return tuple(chosen)


def _applies(
    route: Route, *, system: str, severity: str, check_id: str, level: Level, labels: Mapping[str, str]
) -> bool:
    return (
        _any(route.systems, system)
        and _any(route.severities, severity)
        and (_any(route.checks, check_id) or _any(_bare(route.checks), check_id.partition("/")[2]))
        and (not route.levels or level in route.levels)
        and all(key in labels and _glob(glob, labels[key]) for key, glob in route.labels.items())
    )


def _any(globs: Sequence[str], value: str) -> bool:
    return not globs or any(_glob(glob, value) for glob in globs)


def _bare(globs: Iterable[str]) -> list[str]:
    return [glob for glob in globs if "/" not in glob] or ["/"]  # an empty list would match everything


def _glob(glob: str, value: str) -> bool:
    return fnmatchcase(value.lower(), glob.lower())
