"""One page rather than thirty: a check that depends on something broken does not open an incident of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from healthd.model.catalogue import Check
from healthd.model.outcomes import CheckState, Level


def ancestors(check: Check, checks: Mapping[str, Check]) -> Iterator[Check]:
    """What `check` depends on, directly first, then what those depend on; each once."""
    seen = {check.id}
    queue = list(check.depends_on)
    while queue:
        check_id = queue.pop(0)
        if check_id in seen:
            continue
        seen.add(check_id)
        if (found := checks.get(check_id)) is not None:
            yield found
            queue.extend(found.depends_on)


def blocker(check: Check, checks: Mapping[str, Check], states: Mapping[str, CheckState]) -> str:
    """The id of the broken dependency that explains `check`; empty when none does.

    A dependency is broken once a look found it critical, even while its own `for:` still runs, or when it fires
    because it cannot be looked at. A dependency that only warns explains nothing.
    """
    for dependency in ancestors(check, checks):
        state = states.get(dependency.id)
        if state is None or not dependency.enabled:
            continue
        fires = state.firing and state.firing_level is Level.CRITICAL
        if state.level is Level.CRITICAL or fires or (state.firing and state.status is Level.UNKNOWN):
            return dependency.id
    return ""


def dependants(checks: Mapping[str, Check]) -> dict[str, list[str]]:
    """By id of a check: the ids of those that depend on it, directly or not."""
    found: dict[str, list[str]] = {}
    for check in checks.values():
        if check.depends_on:
            for ancestor in ancestors(check, checks):
                found.setdefault(ancestor.id, []).append(check.id)
    return found
