"""A truth table: values and how long they held, against the status a document wants. For the catalogues in checks/."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from healthd.catalogue import load
from healthd.evaluate import FOR_EVER, held
from healthd.loading import channel_options
from healthd.model.catalogue import Catalogue, Check
from healthd.model.outcomes import Level, Measurement
from healthd.model.units import Unit, UnitError, convert, parse_quantity
from healthd.probes import PROBES
from healthd.settings import Settings

CHECKS = Path(__file__).parents[2] / "checks"


def catalogue_of(system: str) -> Catalogue:
    """The system's own folder, as it is without any variable set."""
    return load(
        [CHECKS / system], probes=PROBES, channels=channel_options(), settings=Settings(checks="checks"), environment={}
    )


def status(check: Check, values: Mapping[str, str], held_for: timedelta = FOR_EVER) -> Level:
    """What the check says of values written as people write them ("1.5%"; "" is a value that is not there)."""
    return held(check, [_measurement(check, *one) for one in values.items() if one[1]], held_for)[0]


def _measurement(check: Check, measure: str, text: str) -> Measurement:
    unit = next((row.unit for row in check.thresholds if row.measure == measure), None)
    assert any(row.measure == measure for row in check.thresholds), f"{check.id} judges no {measure}"
    try:
        return Measurement(measure, convert(parse_quantity(text), unit), unit)
    except UnitError:
        assert unit in (None, Unit.TEXT), f"{text!r} is no {unit}"
        return Measurement(measure, text, Unit.TEXT)
