"""The thresholds of a look: the rows it names or writes, and those its probe brings by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from healthd.catalogue.check_probe import CheckProbe
from healthd.catalogue.context import Context
from healthd.catalogue.nodes import Node, locate
from healthd.catalogue.rows import Row, Rows
from healthd.catalogue.shapes import RowShape
from healthd.catalogue.systems import Frame
from healthd.model.catalogue import Threshold


class RowReader:
    """Reads the rows of all looks of one system: a row of the table is judged once, whoever names it."""

    def __init__(self, frame: Frame, context: Context) -> None:
        self._frame = frame
        self._context = context
        self._rows = Rows(context)

    def read(
        self, written: Sequence[str | RowShape], node: Node, probe: CheckProbe, subject: str
    ) -> tuple[Threshold, ...]:
        """First the probe's own, as far as no row written judges the same measure. `node` has the key `thresholds`."""
        measures = probe.measures
        made: dict[str, Threshold] = {}
        for index, one in enumerate(written):
            row = self._row(one, node, index, subject)
            if row is None:
                continue
            threshold = self._rows.threshold(row, measures, subject)
            if threshold is not None and made.setdefault(threshold.key, threshold) is not threshold:
                message = f"{subject}: two threshold rows are called {threshold.key!r}"
                self._context.problem(node, message, "give one of them a name of its own", ("thresholds", index))
        judged = {threshold.measure for threshold in made.values()}
        usual = tuple(
            replace(t, unit=t.unit or measures.units[t.measure])
            for t in probe.kind.defaults
            if t.measure not in judged and t.measure in measures.units
        )
        return (*usual, *made.values())

    def _row(self, written: str | RowShape, node: Node, index: int, subject: str) -> Row | None:
        frame = self._frame
        if isinstance(written, RowShape):
            return Row(written, "", locate(node, ("thresholds", index)).node)
        if written not in frame.rows and frame.sections.complete:
            message = f"{subject}: unknown threshold row {written!r}"
            self._context.dangling(node, message, written, frame.rows, ("thresholds", index))
        return frame.rows.get(written)
