"""One look against its threshold rows: what level it is at, and which limit says so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from healthd.model.catalogue import Threshold
from healthd.model.conditions import Comparison, Condition, ConditionError, parse_condition
from healthd.model.outcomes import Level, Measurement, Verdict, worst
from healthd.model.units import UnitError, convert, format_exact, format_value, parse_quantity

MAX_NAMED = 5  # further offending series a verdict names
SHOULD_BE = "should be "  # a limit that had to hold and did not


def judge(
    thresholds: Sequence[Threshold], measurements: Sequence[Measurement], note: str = ""
) -> tuple[Level, str, tuple[Verdict, ...]]:
    """The level of one look, the reason in words ("" when OK) and one verdict per row, worst first.

    A row judges every series of its measure one by one; its verdict is that of the worst, by name. `note` is
    what the probe said went wrong: it is the reason when the verdict that decides is that nothing answered.
    """
    by_name: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        by_name.setdefault(measurement.name, []).append(measurement)
    verdicts = [judge_row(row, by_name.get(row.measure, ())) for row in thresholds]
    if len(verdicts) > 1:
        verdicts = _without_consequences(verdicts)
        verdicts.sort(key=lambda v: -v.level.badness)
    level = worst(*(v.level for v in verdicts))
    if level is Level.OK:
        return level, "", tuple(verdicts)
    reason = "; ".join(dict.fromkeys(describe(v, note) for v in verdicts if v.level is level))
    return level, reason if note in reason else f"{reason}: {note}", tuple(verdicts)


def judge_row(row: Threshold, values: Sequence[Measurement]) -> Verdict:
    """One row against all series of its measure. An absent or NaN measure means what the row's `missing` says."""
    numbers = [m for m in values if not _is_nan(m.value)]
    if not numbers:
        note = "not a number" if values else "not measured"
        limit = "missing" if row.missing is not Level.OK else ""
        return Verdict(row.key, row.measure, "", None, row.unit, row.missing, limit, note)
    if len(numbers) == 1:
        return _judge_value(row, numbers[0])
    judged = [_judge_value(row, m) for m in numbers]
    top = max(v.level.badness for v in judged)
    offenders = [v for v in judged if v.level.badness == top]
    worst_one = _furthest(row, offenders)
    if top == 0:
        return worst_one
    others = [v.series for v in offenders if v is not worst_one]
    return _with_note(worst_one, _and_others(others)) if others else worst_one


def describe(verdict: Verdict, note: str = "") -> str:
    """A verdict in words: `latency 620ms, limit >= 500ms`; `used_ratio of /var 91%, limit >= 90% (also /srv)`."""
    if verdict.measure == "up" and note:
        return note
    if verdict.value is None:
        return f"{verdict.measure} {verdict.note or 'not measured'}"
    name = f"{verdict.measure} of {verdict.series}" if verdict.series else verdict.measure
    text = f"{name} {_shown(verdict)}"
    if verdict.limit:
        text += f", limit {verdict.limit}"
    return text + (f" ({verdict.note})" if verdict.note else "")


def _shown(verdict: Verdict) -> str:
    """The value for people, with more digits where `5%, limit > 5%` would make them doubt the judgement."""
    text = format_value(verdict.value or 0.0, verdict.unit)
    if not verdict.limit or isinstance(verdict.value, str) or verdict.value is None:
        return text
    wanted = not verdict.limit.startswith(SHOULD_BE)
    try:
        rounded = convert(parse_quantity(text), verdict.unit)
        told = parse_condition(verdict.limit.removeprefix(SHOULD_BE)).holds(rounded, verdict.unit) is wanted
    except (UnitError, ConditionError):
        return text
    return text if told else format_exact(verdict.value, verdict.unit)


def _judge_value(row: Threshold, measurement: Measurement) -> Verdict:
    value, unit = measurement.value, measurement.unit or row.unit
    try:
        level, limit, note = _level_of(row, value, unit)
    except UnitError as error:
        level, limit, note = Level.UNKNOWN, "", str(error)
    return Verdict(row.key, row.measure, measurement.series, value, unit, level, limit, note)


def _level_of(row: Threshold, value: float | str, unit: object) -> tuple[Level, str, str]:
    if row.critical is not None and row.critical.holds(value, unit):  # type: ignore[arg-type]
        return Level.CRITICAL, row.critical.text, ""
    if row.warning is not None:
        if row.warning.holds(value, unit):  # type: ignore[arg-type]
            return Level.WARNING, row.warning.text, ""
    else:
        wanted = row.acceptable or row.target
        if wanted is not None and not wanted.holds(value, unit):  # type: ignore[arg-type]
            return Level.WARNING, SHOULD_BE + wanted.text, ""
    if row.target is not None and not row.target.holds(value, unit):  # type: ignore[arg-type]
        return Level.OK, "", f"acceptable, target {row.target.text}"
    return Level.OK, "", ""


def _without_consequences(verdicts: list[Verdict]) -> list[Verdict]:
    """Where nothing answered, the measures that are missing for that reason are no findings of their own."""
    if any(v.measure == "up" and v.level.badness > Level.UNKNOWN.badness for v in verdicts):
        return [v for v in verdicts if not (v.value is None and v.level is Level.UNKNOWN)]
    return verdicts


def _furthest(row: Threshold, verdicts: Sequence[Verdict]) -> Verdict:
    """Of equally bad values the one furthest into what the row calls bad."""
    sign = _direction(row)
    numeric = [v for v in verdicts if not isinstance(v.value, str)]
    if not sign or not numeric:
        return verdicts[0]
    return max(numeric, key=lambda v: sign * float(v.value or 0.0))


def _direction(row: Threshold) -> int:
    """+1 where larger is worse, -1 where smaller is, 0 where neither can be said."""
    for condition, good in ((row.critical, 1), (row.warning, 1), (row.acceptable, -1), (row.target, -1)):
        if condition is not None and (sign := _sign(condition)):
            return sign * good
    return 0


def _sign(condition: Condition) -> int:
    if isinstance(condition.test, Comparison):
        return {">": 1, ">=": 1, "<": -1, "<=": -1}.get(condition.test.op, 0)
    return 0


def _is_nan(value: float | str) -> bool:
    return not isinstance(value, str) and math.isnan(value)


def _and_others(series: Iterable[str]) -> str:
    names = [name for name in series if name]
    shown, more = names[:MAX_NAMED], len(names) - MAX_NAMED
    return "also " + ", ".join(shown) + (f" and {more} more" if more > 0 else "") if shown else ""


def _with_note(verdict: Verdict, note: str) -> Verdict:
    both = "; ".join(part for part in (verdict.note, note) if part)
    return Verdict(
        verdict.row, verdict.measure, verdict.series, verdict.value, verdict.unit, verdict.level, verdict.limit, both
    )
