"""Threshold rows to thresholds: which measure they judge, in which unit, and whether they make sense for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from healthd.catalogue.consistency import row_doubts, row_problems
from healthd.catalogue.context import Context
from healthd.catalogue.nodes import Node
from healthd.catalogue.problems import RefusedError, did_you_mean
from healthd.catalogue.shapes import RowShape
from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Level
from healthd.model.units import Unit


@dataclass(frozen=True, slots=True)
class Row:
    """A validated row, its name in the threshold table ("" when written inline) and where it stands."""

    shape: RowShape
    name: str
    node: Node


@dataclass(frozen=True, slots=True)
class Measures:
    """What a check's probe measures. `open_ended`: any other name may appear too. `usual`: rows it has by itself.

    `certain` is False when its parameters are wrong: nothing can be said against a measure then.
    """

    units: Mapping[str, Unit | None]
    open_ended: bool
    usual: frozenset[str]
    certain: bool = True

    def choose(self, row: Row) -> str:
        """The measure the row judges. Raises RefusedError."""
        wanted = row.shape.measure
        if wanted is None:
            return self._implied(row)
        if wanted in self.units or self.open_ended:
            return wanted
        raise RefusedError(f"the probe has no measure {wanted!r}", did_you_mean(wanted, self.units, "its measures"))

    def _implied(self, row: Row) -> str:
        name = row.name or row.shape.name
        if name in self.units:
            return name
        others = [measure for measure in self.units if measure not in self.usual]
        if len(self.units) == 1 or (len(others) == 1 and not self.open_ended):
            return next(iter(others or self.units))
        if self.open_ended and name:
            return name
        raise RefusedError(
            "'measure' is missing and not clear from the probe", f"its measures: {', '.join(self.units)}"
        )


class Rows:
    """Turns rows into thresholds; a table's row that many checks share is judged once per measure and unit."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made: dict[tuple[Node, str, str, Unit | None], Threshold] = {}

    def threshold(self, row: Row, measures: Measures, subject: str) -> Threshold | None:
        """The threshold for a check with these measures; mistakes and doubts are noted. `subject` names the check."""
        try:
            measure = measures.choose(row)
        except RefusedError as refusal:
            if not measures.certain:
                return None
            who = f"{subject}: {_title(row)}" if not row.name else f"{_title(row)} (used by {subject})"
            self._context.problem(row.node, f"{who}: {refusal}", refusal.hint, ("measure",))
            return None
        unit = measures.units.get(measure)
        key = (row.node, row.name, measure, unit)
        if key not in self._made:
            self._judge(row, measure, unit, _title(row) if row.name else f"{subject}: {_title(row)}")
            self._made[key] = _threshold(row, measure, unit or row.shape.unit or _written_unit(row.shape))
        return self._made[key]

    def _judge(self, row: Row, measure: str, unit: Unit | None, who: str) -> None:
        """Note what makes no sense for the measure."""
        shape, context = row.shape, self._context
        if shape.unit is not None and unit is not None and shape.unit != unit:
            message = f"{who}: {measure!r} is in {unit}, not in {shape.unit}"
            context.problem(row.node, message, "leave 'unit' out", ("unit",))
        unit = unit or shape.unit
        for key, refusal in row_problems(shape, unit):
            if context.values.is_substituted(row.node):
                message = f"{who}: {key}: does not fit the measure {measure!r} or the row's other conditions"
                context.problem(row.node, message, at=(key,))
            else:
                context.problem(row.node, f"{who}: {key}: {refusal}", refusal.hint, (key,))
        for doubt in row_doubts(shape, unit):
            context.warn(row.node, f"{who}: {doubt}")


def _threshold(row: Row, measure: str, unit: Unit | None) -> Threshold:
    shape = row.shape
    return Threshold(
        measure=measure,
        target=shape.target,
        acceptable=shape.acceptable,
        warning=shape.warning,
        critical=shape.critical,
        for_=shape.for_,
        recover_for=shape.recover_for,
        unit=unit,
        missing=Level[shape.missing.upper()],
        name=row.name or shape.name,
        note=shape.note,
    )


def _written_unit(shape: RowShape) -> Unit | None:
    """The unit all limits are written in, if they agree."""
    conditions = (shape.target, shape.acceptable, shape.warning, shape.critical)
    units = {unit for condition in conditions if condition is not None for unit in condition.units()}
    return units.pop() if len(units) == 1 else None


def _title(row: Row) -> str:
    if row.name:
        return f"threshold {row.name!r}"
    return f"threshold {row.shape.name or row.shape.measure!r}" if row.shape.name or row.shape.measure else "threshold"
