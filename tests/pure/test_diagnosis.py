"""From what looks saw to results, findings and a likely cause."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from healthd.incidents.diagnosis import (
    MAX_ALL_EVIDENCE,
    MAX_EVIDENCE,
    MAX_FINDINGS,
    MAX_STEPS,
    MAX_TEXT,
    diagnosed,
    diagnosis,
    seen,
    summary,
    unseen,
)
from healthd.model.catalogue import Step
from healthd.model.outcomes import Evidence, Level, Measurement, Outcome, Verdict
from healthd.model.units import Unit
from tests.telling import make_incident

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


def outcome(level: Level, reason: str = "", *verdicts: Verdict, **more: object) -> Outcome:
    return Outcome("shop/x", AT, timedelta(seconds=1), level, reason, verdicts=verdicts, **more)  # type: ignore[arg-type]


def bad(row: str, value: float, level: Level = Level.CRITICAL, unit: Unit = Unit.RATIO, series: str = "") -> Verdict:
    return Verdict(row, row, series, value, unit, level, "> 90%")


def test_a_finding_fills_in_the_words_of_the_worst_row() -> None:
    step = Step(
        "Rollouts", finding="{series} was deployed {value} ago: roll back?", suggest="undo deployment/{series}",
        rows=("rollout_age",),
    )  # fmt: skip
    row = Verdict("rollout_age", "rollout_age", "backend", 720.0, Unit.SECONDS, Level.CRITICAL, "< 30m")
    result = seen(step, outcome(Level.CRITICAL, "rollout_age of backend 12m, limit < 30m", row))
    assert result["finding"] == "backend was deployed 12m ago: roll back?"
    assert result["suggest"] == "undo deployment/backend"
    assert (result["level"], result["error"]) == ("critical", "")


@pytest.mark.parametrize(
    ("rows", "verdicts", "expected"),
    [
        # of its own rows
        (("ratio",), [bad("ratio", 0.97)], "97% used"),
        # another row, which the probe brings: what is said of the value is not meant
        (("ratio",), [bad("stalled", 1.0, unit=Unit.COUNT)], "Memory: it is bad"),
        # of a check, whose rows are not named, any but that nothing answers
        ((), [bad("ratio", 0.97)], "97% used"),
        ((), [bad("up", 0.0, unit=Unit.COUNT)], "Memory: it is bad"),
        # of equally bad rows its own first
        (("ratio",), [bad("stalled", 1.0, unit=Unit.COUNT), bad("ratio", 0.97)], "97% used"),
        # the worst first
        ((), [bad("ratio", 0.85, Level.WARNING), bad("ratio", 0.97)], "97% used"),
        # what was not measured is no finding
        ((), [Verdict("ratio", "ratio", "", None, Unit.RATIO, Level.UNKNOWN, "missing")], ""),
        ((), [], ""),
    ],
)
def test_whose_words_a_finding_has(rows: tuple[str, ...], verdicts: list[Verdict], expected: str) -> None:
    step = Step("Memory?", finding="{value} used", rows=rows)
    level = Level.CRITICAL if expected else Level.OK
    assert seen(step, outcome(level, "it is bad" if expected else "", *verdicts))["finding"] == expected


def test_without_words_of_its_own_the_reason_is_the_finding() -> None:
    assert (
        seen(Step("Queue"), outcome(Level.WARNING, "length 12, limit > 10", bad("length", 12.0, Level.WARNING)))[
            "finding"
        ]
        == "Queue: length 12, limit > 10"
    )


def test_what_is_in_order_says_what_was_measured() -> None:
    measured = (
        Measurement("up", 1.0, Unit.COUNT),
        Measurement("idle", 9.0, Unit.COUNT),
        Measurement("ratio", 0.03, Unit.RATIO),
        *(Measurement("sessions", float(i), Unit.COUNT, f"user{i}") for i in range(9)),
    )
    judged = Verdict("ratio", "ratio", "", 0.03, Unit.RATIO, Level.OK)
    result = seen(Step("Connections", "psql"), outcome(Level.OK, "", judged, measurements=measured))
    assert result["text"].startswith("ratio 3%, idle 9, sessions of user0 0")
    assert result["text"].endswith("and 5 more")
    assert (result["finding"], result["command"]) == ("", "psql")


def test_what_could_not_be_looked_at_says_why() -> None:
    refused = outcome(Level.UNKNOWN, "log-in refused", error_kind="auth", evidence=(Evidence("", "28P01"),))
    result = seen(Step("Database"), refused)
    assert (result["error"], result["finding"], result["level"]) == ("log-in refused", "", "unknown")
    assert result["evidence"] == "28P01"


def test_the_worst_finding_is_first_and_the_order_of_steps_otherwise() -> None:
    steps = [("a", Level.WARNING), ("b", Level.CRITICAL), ("c", Level.OK), ("d", Level.CRITICAL)]
    results = [
        seen(Step(name), outcome(level, name if level else "", *([bad("x", 1.0, level)] if level else [])))
        for name, level in steps
    ]
    results.append(unseen(Step("e"), "no answer within 30 s"))
    found = diagnosis(results, "SEV1", AT, 2.13)
    assert [f["title"] for f in found["findings"]] == ["b", "d", "a"]
    assert (found["steps"], found["answered"], found["seconds"], found["severity"]) == (5, 4, 2.13, "SEV1")
    assert summary(found) == "diagnosed: 4 of 5 steps answered in 2.13s; b: b; d: d; a: a"
    assert json.loads(json.dumps(found)) == found


def test_what_is_known_already_is_no_cause() -> None:
    found = diagnosis(
        [
            seen(Step("Itself", check="shop/web"), outcome(Level.CRITICAL, "down", bad("up", 0.0))),
            seen(Step("Worded", check="shop/web", finding="full"), outcome(Level.CRITICAL, "x", bad("ratio", 1.0))),
            seen(Step("Other", check="shop/db"), outcome(Level.WARNING, "slow", bad("latency", 1.0, Level.WARNING))),
        ],
        "SEV1", AT, 1.0, {"shop/web"},
    )  # fmt: skip
    assert [f["text"] for f in found["findings"]] == ["Other: slow", "full"]
    assert found["steps"] == 3


def test_it_is_bounded() -> None:
    wild = outcome(
        Level.CRITICAL, "r" * 5_000, bad("x", 1.0), evidence=tuple(Evidence(f"e{i}", "x" * 5_000) for i in range(9))
    )
    found = diagnosis([seen(Step("t"), wild) for _ in range(50)], "SEV1", AT, 1.0)
    assert (found["steps"], len(found["findings"])) == (MAX_STEPS, MAX_FINDINGS)
    assert max(len(r["evidence"]) for r in found["results"]) <= MAX_EVIDENCE
    assert sum(len(r["evidence"]) for r in found["results"]) <= MAX_ALL_EVIDENCE
    assert max(len(r["text"]) for r in found["results"]) <= MAX_TEXT
    assert len(summary(found)) < 1_000


def test_attached_it_is_told_softly() -> None:
    found = diagnosis([seen(Step("a"), outcome(Level.OK))], "SEV1", AT, 0.2)
    decision = diagnosed(make_incident(details={"channels": ["team"]}), found, AT)
    assert decision.incident.details == {"channels": ["team"], "diagnosis": found}
    assert (decision.event, decision.softly, decision.update["kind"]) == ("updated", True, "diagnosed")
    assert decision.entry.text == "diagnosed: 1 of 1 step answered in 200ms"
