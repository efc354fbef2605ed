"""What is asked of a worker and what it answers, as JSON. A question holds no parameter and no secret: the worker has
its own catalogue, and its own environment.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from healthd.model.outcomes import Evidence, Measurement, Observation, ProbeError
from healthd.model.units import Unit
from healthd.schedule import Due
from healthd.store.serialisation import micros


@dataclass(frozen=True, slots=True)
class Question:
    """One look to make. `at`: when it was due, in microseconds since 1970; looks of one such moment share answers.
    `begin_by`: by the database's clock, in seconds since 1970; later nobody waits for it any more. `timeout` and
    `backoff` are seconds."""

    check: str
    type: str
    definition: str
    timeout: float
    attempts: int
    backoff: float
    at: int
    begin_by: float

    @classmethod
    def of(cls, due: Due, begin_by: float) -> Question:
        """The look that is due."""
        check = due.check
        return cls(
            check.id,
            check.probe.type,
            check.definition,
            check.timeout.total_seconds(),
            check.retry.attempts,
            check.retry.backoff.total_seconds(),
            micros(due.at),
            begin_by,
        )

    def as_arguments(self) -> dict[str, Any]:
        """Of the engine's job."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: exactly one of `observation` and `error` is set. `duration` is that of the look alone."""

    observation: Observation | None
    error: ProbeError | None
    duration: timedelta = timedelta(0)
    attempts: int = 1

    def dump(self) -> str:
        """JSON; fields are only ever added."""
        body: dict[str, Any] = {"duration": self.duration.total_seconds(), "attempts": self.attempts}
        if self.observation is not None:
            body["measurements"] = [(m.name, m.value, m.unit, m.series) for m in self.observation.measurements]
            body["note"] = self.observation.note
            body["evidence"] = [(e.title, e.text) for e in self.observation.evidence]
        if self.error is not None:
            body["error"] = (self.error.reason, self.error.kind)
            body["evidence"] = [(e.title, e.text) for e in self.error.evidence]
        return json.dumps(body, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Answer:
        """The inverse of dump; an answer that cannot be read is an error of its own."""
        try:
            body = json.loads(text)
            evidence = tuple(Evidence(*pair) for pair in body.get("evidence", ()))
            reason, kind = body.get("error", ("", ""))
            error = ProbeError(reason, kind, evidence) if "error" in body else None
            measurements = (
                Measurement(name, value, Unit(unit) if unit else None, series)
                for name, value, unit, series in body.get("measurements", ())
            )
            observation = None if error else Observation(tuple(measurements), evidence, body.get("note", ""))
            return cls(observation, error, timedelta(seconds=body["duration"]), body["attempts"])
        except (ValueError, TypeError, KeyError, AttributeError):
            reason = "the worker's answer cannot be read: is it of another version of healthd?"
            return cls(None, ProbeError(reason, "worker"))
