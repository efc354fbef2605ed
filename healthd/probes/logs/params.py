"""What the `logs` probe can be told, as written in YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from healthd.model.units import UnitError, parse_quantity
from healthd.probes import base
from healthd.probes.base import Duration, OneOrMany
from healthd.probes.files.pattern import check_glob
from healthd.probes.logs.patterns import LinePattern, compiled
from healthd.probes.scale import UnitName
from healthd.probes.zones import ZoneName

OWN_MEASURES = ("files", "lines", "bytes_read", "period", "backlog", "last_write_age")
# what is added to the name of a pattern, of a number
PATTERN_SUFFIXES = ("", "_rate", "_ratio")
NUMBER_SUFFIXES = ("_count", "_mean", "_p50", "_p95", "_p99", "_max")


def _one_group(text: str) -> str:
    if not compiled(text).groups:
        raise ValueError(f"{text!r} has no group: put what is wanted into parentheses")
    return text


def _named(value: Any) -> Any:
    return {"matches": value} if isinstance(value, str) else value


def _number(value: Any) -> Any:
    return {"pattern": value} if isinstance(value, str) else value


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return int(parse_quantity(value).value)
    except UnitError as error:
        raise ValueError(str(error)) from None


def _glob(globs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(check_glob(glob) for glob in globs)


Captures = Annotated[LinePattern, AfterValidator(_one_group)]


class Top(base.Params):
    """The most frequent words: the first group of `pattern`, at most `limit` of them."""

    pattern: Captures
    limit: int = Field(5, ge=1, le=50)


class Number(base.Params):
    """A number in the lines: the first group of `pattern`, written in `unit`."""

    pattern: Captures
    unit: UnitName | None = None


class LogsParams(base.Params):
    """Which files, which lines, and what to count."""

    glob: Annotated[OneOrMany, AfterValidator(_glob)] = Field(min_length=1)
    patterns: Annotated[
        Mapping[str, LinePattern], BeforeValidator(_named, json_schema_input_type=str | Mapping[str, str])
    ] = Field(default_factory=dict)
    exclude: LinePattern | None = None
    top: Mapping[str, Annotated[Top, BeforeValidator(_number, json_schema_input_type=str | Top)]] = Field(
        default_factory=dict
    )
    numbers: Mapping[str, Annotated[Number, BeforeValidator(_number, json_schema_input_type=str | Number)]] = Field(
        default_factory=dict
    )
    read: Literal["new", "window", "tail"] = "new"
    since: Duration | None = None
    tail_lines: int = Field(10_000, ge=1, le=10_000_000)
    first_bytes: Annotated[int, BeforeValidator(_size, json_schema_input_type=int | str)] = Field(100_000_000, ge=0)
    log_zone: ZoneName | None = None
    unreadable: Literal["fail", "skip"] = "fail"
    max_names: int = Field(100_000, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> LogsParams:
        if self.read == "window" and not self.since:
            raise ValueError("read: window needs `since`, such as since: 24h")
        if self.read == "tail" and self.since is not None:
            raise ValueError("read: tail looks at the last tail_lines, whatever their time: leave out since")
        taken = set(OWN_MEASURES)
        for name in self.names():
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError(f"{name!r} cannot name a measure: letters, digits and _ only")
            if name in taken:
                raise ValueError(f"the measure {name!r} is taken: choose another name")
            taken.add(name)
        return self

    def names(self) -> list[str]:
        """The measures of its own patterns."""
        names = [name + suffix for name in self.patterns for suffix in PATTERN_SUFFIXES]
        return names + list(self.top) + [name + suffix for name in self.numbers for suffix in NUMBER_SUFFIXES]
