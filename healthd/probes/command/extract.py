"""Measures out of what a program wrote: by regular expression, or by path out of JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from healthd.model.units import Unit, UnitError, parse_quantity
from healthd.probes.base import Measurement, ProbeError
from healthd.probes.command.params import Extract, JsonExtract
from healthd.probes.json_path import parse_json_path
from healthd.probes.patterns import search
from healthd.probes.scale import base_unit, scaled


def from_text(text: str, wanted: Mapping[str, Extract]) -> list[Measurement]:
    """One for each pattern that is found; ^ and $ stand for lines. Raises ProbeError when it captured no number."""
    found = []
    for name, extract in wanted.items():
        match = search(extract.pattern, text, re.MULTILINE)
        if match is not None and match[1] is not None:
            found.append(_measurement(name, _read_text(name, match[1], extract.unit)))
    return found


def from_json(text: str, wanted: Mapping[str, JsonExtract], *, cut: bool) -> list[Measurement]:
    """One for each value found; null is not a value. Raises ProbeError when the text is no JSON."""
    if not wanted:
        return []
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = "it is longer than what is kept" if cut else str(error)
        raise ProbeError(f"the output is not JSON: {why}", "protocol") from None
    return [m for name, extract in wanted.items() for m in _matches(name, extract, document)]


def _matches(name: str, extract: JsonExtract, document: Any) -> Iterator[Measurement]:
    for match in parse_json_path(extract.path).find(document):
        value = match.value
        if isinstance(value, dict | list):
            raise ProbeError(f"{extract.path} for {name} is no single value: point deeper, or at .length()", "protocol")
        if isinstance(value, str) and extract.unit not in (None, Unit.TEXT):
            yield _measurement(name, _read_text(name, value, extract.unit), ".".join(match.keys))
        elif isinstance(value, str):
            yield Measurement(name, value, Unit.TEXT, ".".join(match.keys))
        elif value is not None:
            yield _measurement(name, _in_base(float(value), extract.unit), ".".join(match.keys))


def _measurement(name: str, value: tuple[float | str, Unit | None], series: str = "") -> Measurement:
    return Measurement(name, value[0], value[1], series)


def _read_text(name: str, text: str, unit: str | None) -> tuple[float | str, Unit | None]:
    """A number in `unit`; a quantity with its own ("12ms"); or a word, if `unit` is text."""
    clean = text.strip()
    if unit == Unit.TEXT:
        return clean, Unit.TEXT
    try:
        quantity = parse_quantity(clean)
    except UnitError:
        raise ProbeError(
            f"{name}: what the pattern found is not a number: {clean[:80]!r} (for words write unit: text)", "protocol"
        ) from None
    if quantity.unit is None:
        return _in_base(quantity.value, unit)
    if unit is not None and quantity.unit != base_unit(unit):
        raise ProbeError(f"{name}: {clean[:80]!r} is in {quantity.unit}, not in {unit}", "protocol")
    return quantity.value, quantity.unit


def _in_base(value: float, unit: str | None) -> tuple[float, Unit | None]:
    return scaled(value, unit) if unit is not None and math.isfinite(value) else (value, None)
