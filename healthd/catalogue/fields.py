"""How single values are written: durations, names, conditions, one-or-many. Each knows its JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, PlainValidator, WithJsonSchema

from healthd.catalogue.problems import RefusedError, did_you_mean
from healthd.model.conditions import Condition, parse_condition
from healthd.model.units import Unit, UnitError, parse_duration, parse_quantity

DURATION_SCHEMA: dict[str, Any] = {
    "type": ["string", "number"],
    "description": "a duration; a bare number is seconds",
    "examples": ["30s", "5m", "1h30m", "24h", "7d"],
}
CONDITION_SCHEMA: dict[str, Any] = {
    "type": "string",
    "description": "a condition on the measure",
    "examples": ["< 500ms", ">= 80%", "> 24h", "= connected", "in [a, b]", "between 5MB and 50MB"],
}
SHARE_SCHEMA: dict[str, Any] = {
    "type": ["string", "number"],
    "description": "a share above 50%, below 100%",
    "examples": ["99.9%", 0.995],
}
SHORTEST_INTERVAL = timedelta(milliseconds=100)  # what starts are rounded to
LONGEST_LOCATION = 32  # it is part of the name of a queue and of a channel of PostgreSQL
_LOCATION = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
LOCATION_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$|\$\{",
    "examples": ["eu-west"],
}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_NAME_SCHEMA = {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]*$", "maxLength": 100}


@dataclass(frozen=True, slots=True)
class AlsoWritten:
    """A shorter form people may write too, for the JSON Schema; a validator turns it into the full one."""

    form: Mapping[str, Any]

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [dict(self.form), handler(core)]}

    def __hash__(self) -> int:
        return id(self)


def slug(text: str) -> str:
    """The nearest name in the form names have."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._") or "name"


def read_name(text: str) -> str:
    """A name of a system or check: lower case letters, digits, `-`, `_` and `.`. Raises RefusedError."""
    if not _NAME.fullmatch(text):
        raise RefusedError(
            f"{text!r} is not a name: it may hold a-z, 0-9, '-', '_' and '.'", f"did you mean {slug(text)!r}?"
        )
    if len(text) > 100:
        raise RefusedError(f"a name of {len(text)} characters is too long", "expected at most 100")
    return text


def read_location(text: str) -> str:
    """A location's name as it is; an empty one, which a variable may leave, is none. Raises RefusedError."""
    if text and not _LOCATION.fullmatch(text):
        near = re.sub(r"[._]", "-", slug(text))[:LONGEST_LOCATION].strip("-")
        raise RefusedError(
            f"{text!r} is not a location: it may hold a-z, 0-9 and '-', at most {LONGEST_LOCATION} characters",
            f"did you mean {near!r}?",
        )
    return text


def _read_positive(value: Any) -> timedelta:
    duration = _read_duration(value)
    if duration <= timedelta(0):
        raise RefusedError(f"{value!r} is no time at all", "expected something like 30s")
    return duration


def _read_interval(value: Any) -> timedelta:
    interval = _read_positive(value)
    if interval < SHORTEST_INTERVAL:
        raise RefusedError(f"{value!r} is too often", "expected 100ms at least")
    return interval


def _read_duration(value: Any) -> timedelta:
    if not isinstance(value, str | int | float | timedelta):
        raise RefusedError("not a duration", "expected something like 30s, 5m or 24h")
    try:
        return parse_duration(value)
    except UnitError as error:
        text, _, hint = str(error).partition(": ")
        raise RefusedError(text, hint or "expected something like 30s, 5m or 24h") from None


def read_condition(value: Any) -> Condition:
    """A condition from YAML. Raises RefusedError for what looks like one but leaves open what is meant."""
    if isinstance(value, bool):
        word = "true" if value else "false"
        raise RefusedError(f"{word} is not a condition", f'did you mean "= {word}"?')
    if isinstance(value, int | float):
        raise RefusedError(
            f"{value:g} is not a condition", f'did you mean "= {value:g}", "< {value:g}" or ">= {value:g}"?'
        )
    if isinstance(value, list):
        members = ", ".join(str(v) for v in value if isinstance(v, str | int | float))
        raise RefusedError("a list is not a condition", f'did you mean "in [{members}]"?')
    if not isinstance(value, str):
        raise RefusedError("not a condition", 'expected something like "< 500ms"')
    return _parse(value)


@lru_cache(maxsize=1024)
def _parse(text: str) -> Condition:
    """Catalogues repeat their limits."""
    return parse_condition(text)


def one_or_many(value: Any) -> Any:
    """`a` for `[a]`; nothing for an empty list."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def written(value: Any) -> Any:
    """Nothing for an empty text, which is what a variable that is not set leaves: `${AGAIN:-}`."""
    return () if value == "" else value


def read_label(value: Any) -> Any:
    """Labels are text; numbers and booleans are taken as written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, int | float) else value


def read_unit(value: Any) -> Unit:
    """A base unit by its name. Raises RefusedError."""
    try:
        return Unit(value)
    except ValueError:
        hint = did_you_mean(str(value), [unit.value for unit in Unit], "base units")
        raise RefusedError(
            f"{value!r} is not a base unit (units such as ms or GB belong into the limits)", hint
        ) from None


def _read_share(value: Any) -> float:
    """ "99.9%" or 0.999."""
    try:
        quantity = parse_quantity(str(value))
    except UnitError as error:
        raise RefusedError(str(error), 'expected a share such as "99.9%"') from None
    if quantity.unit not in (None, Unit.RATIO) or not 0.5 < quantity.value < 1:
        raise RefusedError(f"{value!r} is not a share above 50% and below 100%", 'expected one such as "99.9%"')
    return quantity.value


Share = Annotated[float, PlainValidator(_read_share), WithJsonSchema(SHARE_SCHEMA)]
Duration = Annotated[timedelta, PlainValidator(_read_duration), WithJsonSchema(DURATION_SCHEMA)]
PositiveDuration = Annotated[timedelta, PlainValidator(_read_positive), WithJsonSchema(DURATION_SCHEMA)]
Interval = Annotated[timedelta, PlainValidator(_read_interval), WithJsonSchema(DURATION_SCHEMA)]
Name = Annotated[str, AfterValidator(read_name), WithJsonSchema(_NAME_SCHEMA)]
Location = Annotated[str, AfterValidator(read_location), WithJsonSchema(LOCATION_SCHEMA)]
ConditionText = Annotated[Condition, PlainValidator(read_condition), WithJsonSchema(CONDITION_SCHEMA)]
BaseUnit = Annotated[Unit, PlainValidator(read_unit), WithJsonSchema({"enum": [unit.value for unit in Unit]})]
Label = Annotated[str, BeforeValidator(read_label), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Words = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(one_or_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
