"""Which channels hear of an incident."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from healthd.model.catalogue import Route
from healthd.model.outcomes import Level

INCIDENT = "incident"  # the kind that is no kind of notice


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

    def applies(route: Route) -> bool:
        return _applies(route, system=system, severity=severity, check_id=check_id, level=level, labels=labels)

    return chosen(routes, applies, known)


def chosen(routes: Sequence[Route], applies: Callable[[Route], bool], known: Collection[str]) -> tuple[str, ...]:
    """The channels of the routes that apply, as `match` says."""
    if not routes:
        return tuple(known)
    found: dict[str, None] = {}
    for route in routes:
        if applies(route):
            found |= dict.fromkeys(name for name in route.channels if name in known)
            if not route.continue_:
                break
    return tuple(found)


def _applies(
    route: Route, *, system: str, severity: str, check_id: str, level: Level, labels: Mapping[str, str]
) -> bool:
    return (
        any_of(route.kinds, INCIDENT)
        and not route.cadences
        and any_of(route.systems, system)
        and any_of(route.severities, severity)
        and (any_of(route.checks, check_id) or any_of(_bare(route.checks), check_id.partition("/")[2]))
        and (not route.levels or level in route.levels)
        and all(key in labels and _glob(glob, labels[key]) for key, glob in route.labels.items())
    )


def any_of(globs: Sequence[str], value: str) -> bool:
    """Whether one of the globs fits, or there is none. Case is ignored."""
    return not globs or any(_glob(glob, value) for glob in globs)


def _bare(globs: Iterable[str]) -> list[str]:
    return [glob for glob in globs if "/" not in glob] or ["/"]  # an empty list would match everything


def _glob(glob: str, value: str) -> bool:
    return fnmatchcase(value.lower(), glob.lower())
