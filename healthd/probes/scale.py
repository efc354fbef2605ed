"""Numbers whose unit the catalogue names ("ms", "MB", "%"), brought to base units."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator

from healthd.model.units import Quantity, Unit, UnitError, parse_quantity

__all__ = ["UnitName", "base_unit", "scaled"]


def base_unit(name: str) -> Unit:
    """The base unit a number in `name` is stored in: seconds for "ms". Raises UnitError for an unknown name."""
    return scaled(1.0, name)[1]


def scaled(value: float, name: str) -> tuple[float, Unit]:
    """`value` in the unit `name` as a number in its base unit. A base unit's own name ("days") changes nothing."""
    if name in Unit.__members__.values():
        return value, Unit(name)
    quantity = parse_quantity(f"{value:.17g} {name}") if math.isfinite(value) else _not_finite(value, name)
    if quantity.unit is None:
        raise UnitError(f"{name!r} is not a unit: expected something like ms, MB or %")
    return quantity.value, quantity.unit


def _not_finite(value: float, name: str) -> Quantity:
    return Quantity(value, parse_quantity(f"1 {name}").unit)


def _known(name: str) -> str:
    base_unit(name)
    return name


# A parameter naming a unit: a base unit ("seconds", "text") or any other that a limit may be written in ("ms").
UnitName = Annotated[str, AfterValidator(_known)]
