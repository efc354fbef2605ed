"""What a check would say of made-up measurements that have held for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from healthd.evaluate.advance import advance, tick
from healthd.evaluate.judge import judge
from healthd.model.catalogue import Check
from healthd.model.outcomes import CheckState, Level, Measurement, Outcome

FOR_EVER = timedelta(days=36500)
_START = datetime(2000, 1, 1, tzinfo=UTC)


def held(
    check: Check, measurements: Sequence[Measurement], duration: timedelta = FOR_EVER, note: str = ""
) -> tuple[Level, Outcome, CheckState]:
    """The status of `check` after `measurements` have been seen without a break for `duration`."""
    level, reason, verdicts = judge(check.thresholds, measurements, note)
    outcome = Outcome(check.id, _START, timedelta(0), level, reason, tuple(measurements), verdicts, trigger="manual")
    state, _ = advance(check, CheckState(check.id), outcome, _START, None)
    state, _ = tick(check, state, _START + duration)
    return state.status, outcome, state
