"""Judging: (check, state, outcome, now) in, (state, transitions) out. No clock, no I/O."""

from healthd.evaluate.advance import advance, next_deadline, tick
from healthd.evaluate.judge import judge, judge_row
from healthd.evaluate.replay import FOR_EVER, held

__all__ = ["FOR_EVER", "advance", "held", "judge", "judge_row", "next_deadline", "tick"]
