"""Whether a threshold row can mean what it says: units fit, nothing is unreachable, nothing contradicts."""

from __future__ import annotations

from collections.abc import Iterator

from healthd.catalogue.problems import RefusedError
from healthd.catalogue.shapes import RowShape
from healthd.model.conditions import Condition, Membership
from healthd.model.samples import is_number, parts, samples
from healthd.model.units import Quantity, Unit, UnitError, convert

LEVELS = ("target", "acceptable", "warning", "critical")


def row_problems(row: RowShape, unit: Unit | None) -> Iterator[tuple[str, RefusedError]]:
    """What is wrong with the row for a measure in `unit` (None: unknown): pairs of the key at fault and the reason."""
    conditions = {level: c for level in LEVELS if (c := getattr(row, level)) is not None}
    failed = False
    for level, condition in conditions.items():
        for refusal in _misfits(condition, unit):
            failed = True
            yield level, refusal
    if not failed:
        yield from _contradictions(conditions, unit)


def row_doubts(row: RowShape, unit: Unit | None) -> Iterator[str]:
    """What is legal but hardly meant."""
    if row.target is None or row.critical is None:
        return
    held = _held({"target": row.target, "critical": row.critical}, unit)
    if held and held["target"] & held["critical"]:
        yield f"target {row.target} and critical {row.critical} overlap: some values are both"


def _misfits(condition: Condition, unit: Unit | None) -> Iterator[RefusedError]:
    for part in parts(condition.test):
        if isinstance(part, Membership):
            words = [member for member in part.members if not is_number(member)]
            if unit not in (None, Unit.TEXT) and len(words) == len(part.members):
                yield RefusedError(f"{condition.text!r} lists words; the measure is a number ({unit})")
        elif part.limit is None:
            if unit not in (None, Unit.TEXT):
                yield RefusedError(f"{condition.text!r} compares with a word; the measure is a number ({unit})")
        elif unit is Unit.TEXT:
            if part.op not in ("=", "!="):
                yield RefusedError(
                    f"{condition.text!r} compares numbers; the measure is a word", 'expected "= word" or "!= word"'
                )
        else:
            yield from _quantity_misfits(condition, part.limit, unit)


def _quantity_misfits(condition: Condition, limit: Quantity, unit: Unit | None) -> Iterator[RefusedError]:
    if unit is Unit.RATIO and limit.unit is None and abs(limit.value) > 1:
        hint = f"did you mean {condition.text.replace(_number(limit), _number(limit) + '%')!r}?"
        yield RefusedError(f"{condition.text!r}: the measure is a ratio, where 1 is all of it", hint)
    try:
        convert(limit, unit)
    except UnitError as error:
        yield RefusedError(
            f"{condition.text!r}: {error}",
            f"a measure in {unit} is compared with {_EXAMPLES.get(unit, 'a bare number')}",
        )


_EXAMPLES: dict[Unit | None, str] = {
    Unit.SECONDS: 'a duration such as "500ms"',
    Unit.BYTES: 'a size such as "5MB"',
    Unit.RATIO: 'a share such as "80%"',
    Unit.DAYS: 'days such as "14d"',
    Unit.PER_SECOND: 'a rate such as "100/s"',
    Unit.BYTES_PER_SECOND: 'a rate such as "5MB/s"',
}


def _contradictions(conditions: dict[str, Condition], unit: Unit | None) -> Iterator[tuple[str, RefusedError]]:
    held = _held(conditions, unit)
    for level, points in held.items():
        if not points:
            yield level, RefusedError(f"{conditions[level].text!r} never holds", "check its limits")
            return
    for good in ("target", "acceptable"):
        for bad in ("critical", "warning"):
            if good in held and bad in held and held[good] <= held[bad]:
                text = f"{good} {conditions[good].text!r} lies wholly within {bad} {conditions[bad].text!r}"
                yield good, RefusedError(text, f"what is good cannot be {bad}: is one of them turned round?")
                return
    if "warning" in held and "critical" in held and held["warning"] <= held["critical"]:
        warning, critical = conditions["warning"].text, conditions["critical"].text
        text = f"warning {warning!r} is never seen: critical {critical!r} is reached first"
        yield "warning", RefusedError(text, "are the two swapped?")


def _held(conditions: dict[str, Condition], unit: Unit | None) -> dict[str, frozenset[float | str]]:
    """At which sample values each condition holds; empty when words and numbers are mixed."""
    values = samples(conditions.values(), unit)
    try:
        return {
            level: frozenset(value for value in values if condition.holds(value, unit))
            for level, condition in conditions.items()
        }
    except UnitError:
        return {}


def _number(quantity: Quantity) -> str:
    return f"{quantity.value:.15g}"
