"""What every run uses, and what is known of every check between its runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from healthd.look import Looker
from healthd.metrics import Metrics
from healthd.model.catalogue import Check
from healthd.model.outcomes import CheckState, Evidence, Level, Outcome, Verdict
from healthd.schedule import Limits
from healthd.store.recorder import Recorder
from healthd.telling import Teller


@dataclass(frozen=True, slots=True)
class Gear:
    """What every run uses."""

    looker: Looker
    slots: Limits
    metrics: Metrics
    recorder: Recorder
    teller: Teller
    now: Callable[[], datetime]


@dataclass(slots=True)
class Known:
    """By check id. `checks` are in force and enabled."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    states: dict[str, CheckState] = field(default_factory=dict)
    latest: dict[str, Outcome] = field(default_factory=dict)

    def verdicts(self, check_id: str) -> Sequence[Verdict]:
        """Of the last run."""
        state = self.states.get(check_id)
        return state.verdicts if state else ()

    def evidence(self, check_id: str) -> Sequence[Evidence]:
        """Of the last run."""
        outcome = self.latest.get(check_id)
        return outcome.evidence if outcome else ()

    def is_ok(self, check_id: str) -> bool:
        """Whether the last run found nothing wrong."""
        state = self.states.get(check_id)
        return state is None or state.level is Level.OK
