"""The state of a check, moved on by an outcome or by time alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from healthd.evaluate import rows
from healthd.evaluate.flapping import is_flapping, remember
from healthd.model.catalogue import Check, Threshold
from healthd.model.outcomes import CheckState, Level, Outcome, RowState, Transition, TransitionKind, worst

Change = tuple[CheckState, tuple[Transition, ...]]
OVERDUE = "overdue: it has not run when it should have"


def advance(check: Check, state: CheckState, outcome: Outcome, now: datetime, expected_by: datetime | None) -> Change:
    """The state after `outcome`, judged at `now`, and what changed.

    `outcome` carries its verdicts (see `judge`); one without verdicts and with level UNKNOWN is a failure to look:
    it neither confirms nor clears anything, it counts towards the check's UNKNOWN policy. `expected_by` is when
    the next run is overdue.
    """
    seen = {verdict.row: verdict.level for verdict in outcome.verdicts}
    row_states = {row.key: _observed(row, state, seen.get(row.key, Level.UNKNOWN), now) for row in check.thresholds}
    unknown = outcome.level is Level.UNKNOWN or Level.UNKNOWN in seen.values()
    moved = _Draft(check, state, now)
    moved.rows = {key: row for key, row in row_states.items() if row is not rows.QUIET}
    moved.unknown_count = state.unknown_count + 1 if unknown else 0
    moved.unknown_since = (state.unknown_since or now) if unknown else None
    moved.level, moved.reason = outcome.level, outcome.reason
    moved.verdicts = outcome.verdicts
    moved.last_run = outcome.started
    moved.last_ok = outcome.started if outcome.level is Level.OK else state.last_ok
    moved.expected_by, moved.overdue = expected_by, False
    moved.recent = remember(check, state.recent, worst(moved.confirmed(), Level.UNKNOWN if unknown else Level.OK))
    return moved.finish()


def tick(check: Check, state: CheckState, now: datetime) -> Change:
    """What time alone changed by `now`: a level that has held long enough, a run that did not come."""
    seen = {verdict.row: verdict.level for verdict in state.verdicts}
    moved = _Draft(check, state, now)
    moved.rows = {
        row.key: rows.settle(row, state.rows[row.key], now)
        if seen.get(row.key, Level.UNKNOWN) is not Level.UNKNOWN
        else state.rows[row.key]
        for row in check.thresholds
        if row.key in state.rows
    }
    moved.overdue = state.expected_by is not None and now > state.expected_by
    return moved.finish()


def next_deadline(state: CheckState) -> datetime | None:
    """When `tick` has something to do next; None when only a run can change the state."""
    overdue_at = None if state.overdue else state.expected_by
    return min((m for m in (state.pending_until, overdue_at) if m is not None), default=None)


def _observed(row: Threshold, state: CheckState, level: Level, now: datetime) -> RowState:
    previous = state.rows.get(row.key, rows.QUIET)
    return previous if level is Level.UNKNOWN else rows.observe(row, previous, level, now)


class _Draft:
    """A state being worked out: starts as a copy of the old one, `finish` settles what follows from the parts."""

    def __init__(self, check: Check, state: CheckState, now: datetime) -> None:
        self.check, self.old, self.now = check, state, now
        self.rows: Mapping[str, RowState] = state.rows
        self.unknown_count, self.unknown_since = state.unknown_count, state.unknown_since
        self.level, self.reason, self.verdicts = state.level, state.reason, state.verdicts
        self.last_run, self.last_ok = state.last_run, state.last_ok
        self.expected_by, self.overdue = state.expected_by, state.overdue
        self.recent = state.recent

    def confirmed(self) -> Level:
        """The worst level any row has after `for:` and `recover_for:`."""
        return worst(*(row.confirmed for row in self.rows.values())) if self.rows else Level.OK

    def finish(self) -> Change:
        old, confirmed = self.old, self.confirmed()
        blind = self.unknown_count > 0 or self.overdue
        status = worst(confirmed, Level.UNKNOWN) if blind else confirmed
        flapping = is_flapping(self.check, self.recent, old.flapping)
        wanted = worst(confirmed, self._blind_level())
        if flapping and old.firing:  # its worst stands until it is steady
            wanted = worst(wanted, old.firing_level)
        firing = wanted is not Level.OK
        reason = OVERDUE if self.overdue and confirmed is Level.OK else self.reason
        new = CheckState(
            check_id=self.check.id,
            status=status,
            level=self.level,
            reason=reason,
            since=old.since if old.status is status and old.since else self.now,
            firing=firing,
            firing_level=wanted,
            firing_since=(old.firing_since if old.firing else self.now) if firing else None,
            rows=self.rows,
            unknown_count=self.unknown_count,
            unknown_since=self.unknown_since,
            last_run=self.last_run,
            last_ok=self.last_ok,
            expected_by=self.expected_by,
            overdue=self.overdue,
            flapping=flapping,
            recent=self.recent,
            pending_until=self._pending_until(),
            verdicts=self.verdicts,
            fingerprint=self.check.fingerprint,
        )
        if firing is old.firing and wanted is old.firing_level and flapping is old.flapping:
            return new, ()
        return new, _transitions(old, new, self.now)

    def _blind_level(self) -> Level:
        """What not knowing fires at by now: OK for not at all."""
        policy = self.check.unknown
        if self.overdue:
            return policy.level
        if not self.unknown_count:
            return Level.OK
        if policy.for_ is not None:
            long_enough = self.unknown_since is not None and self.now - self.unknown_since >= policy.for_
            return policy.level if long_enough else Level.OK
        return policy.level if self.unknown_count >= policy.after else Level.OK

    def _pending_until(self) -> datetime | None:
        moments = [
            moment
            for row in self.check.thresholds
            if (state := self.rows.get(row.key)) and (moment := rows.deadline(row, state, self.now))
        ]
        if self.unknown_since is not None and self.check.unknown.for_ is not None:
            moments.append(self.unknown_since + self.check.unknown.for_)
        return min((m for m in moments if m > self.now), default=None)


def _transitions(old: CheckState, new: CheckState, now: datetime) -> tuple[Transition, ...]:
    kinds: list[str] = []
    if new.flapping and not old.flapping:
        kinds.append(TransitionKind.FLAPPING)
    elif old.flapping and not new.flapping:
        kinds.append(TransitionKind.STEADY)
    if new.firing and not old.firing:
        kinds.append(TransitionKind.FIRING)
    elif old.firing and not new.firing:
        kinds.append(TransitionKind.RESOLVED)
    elif new.firing and new.firing_level.badness > old.firing_level.badness:
        kinds.append(TransitionKind.WORSENED)
    elif new.firing and new.firing_level.badness < old.firing_level.badness:
        kinds.append(TransitionKind.IMPROVED)
    level, previous = new.firing_level, old.firing_level
    return tuple(Transition(kind, new.check_id, now, level, previous, new.reason) for kind in kinds)
