"""What `for:` and `recover_for:` do to one threshold row: a level counts once it has held, and until it is over."""

from __future__ import annotations

from datetime import datetime

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Level, RowState

QUIET = RowState()


def observe(row: Threshold, state: RowState, level: Level, now: datetime) -> RowState:
    """The row was seen at `level` (not UNKNOWN) at `now`."""
    if level is Level.OK and state.confirmed is Level.OK:
        return QUIET
    if level is Level.OK:
        seen = RowState(state.confirmed, None, None, state.below_critical_since or now, state.ok_since or now)
    elif level is Level.CRITICAL:
        seen = RowState(state.confirmed, state.warning_since or now, state.critical_since or now)
    else:
        below = (state.below_critical_since or now) if state.confirmed is Level.CRITICAL else None
        seen = RowState(state.confirmed, state.warning_since or now, None, below)
    return settle(row, seen, now)


def settle(row: Threshold, state: RowState, now: datetime) -> RowState:
    """Confirm what has held long enough by `now`, without a new look."""
    confirmed = _confirmed(row, state, now)
    if confirmed is state.confirmed:
        return state
    if confirmed is Level.OK:
        return QUIET
    below = state.below_critical_since if confirmed is Level.CRITICAL else None
    return RowState(confirmed, state.warning_since, state.critical_since, below, state.ok_since)


def _confirmed(row: Threshold, state: RowState, now: datetime) -> Level:
    if _held(state.critical_since, row.for_, now):
        return Level.CRITICAL
    if state.ok_since is not None and _held(state.ok_since, row.recover_for, now):
        return Level.OK
    if state.confirmed is Level.CRITICAL:
        # it counts as critical until it has been less for `recover_for`
        over = state.ok_since is None and _held(state.below_critical_since, row.recover_for, now)
        return Level.WARNING if over else Level.CRITICAL
    if _held(state.warning_since, row.for_, now):
        return Level.WARNING
    return state.confirmed


def deadline(row: Threshold, state: RowState, now: datetime) -> datetime | None:
    """When time alone would change what counts; None when it would not."""
    moments: list[datetime] = []
    if state.critical_since is not None and state.confirmed is not Level.CRITICAL:
        moments.append(state.critical_since + row.for_)
    if state.warning_since is not None and state.confirmed is Level.OK:
        moments.append(state.warning_since + row.for_)
    if state.ok_since is not None:
        moments.append(state.ok_since + row.recover_for)
    elif state.below_critical_since is not None and state.confirmed is Level.CRITICAL:
        moments.append(state.below_critical_since + row.recover_for)
    return min((m for m in moments if m > now), default=None)


def _held(since: datetime | None, duration: object, now: datetime) -> bool:
    return since is not None and now - since >= duration  # type: ignore[operator]
