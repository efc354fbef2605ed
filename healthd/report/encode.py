"""A report as JSON-able data and back. Readers take what they know: fields added later have their defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from healthd.report.model import Event, Growth, Item, Objective, Report, Section, Task, Value

T = TypeVar("T")
_PARTS: Mapping[str, type[Any]] = {
    "items": Item, "values": Value, "sections": Section, "tasks": Task, "events": Event, "growth": Growth,
    "objectives": Objective,
}  # fmt: skip
_MOMENTS = frozenset({"due", "made_at", "opened_at", "resolved_at"})


def to_json(report: Report) -> dict[str, Any]:
    """Objects, lists, texts and finite numbers; times are RFC 3339 in UTC. With `level` and `counts` for programs."""
    data: dict[str, Any] = _plain(report)
    return {**data, "level": report.level, "counts": report.counts}


def from_json(data: Mapping[str, Any]) -> Report:
    """The inverse of to_json. Raises TypeError or ValueError for what is no report."""
    return _make(Report, data)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _make(kind: type[T], data: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: _read(name, value) for name, value in data.items() if name in known})


def _read(name: str, value: Any) -> Any:
    if name in _PARTS:
        return tuple(_make(_PARTS[name], item) for item in value)
    if name in _MOMENTS and value is not None:
        return datetime.fromisoformat(value)
    if isinstance(value, list):
        return tuple(_read("", item) for item in value)
    return value
