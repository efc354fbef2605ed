"""Quantities as people write them ("500ms", "80 %", "1.5GiB") and as healthd stores them (base units)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum


class Unit(StrEnum):
    """Base unit of a measurement. Prometheus names, plus `days` and `text`."""

    SECONDS = "seconds"
    BYTES = "bytes"
    RATIO = "ratio"
    COUNT = "count"
    DAYS = "days"
    PER_SECOND = "per_second"
    BYTES_PER_SECOND = "bytes_per_second"
    TIMESTAMP = "timestamp_seconds"
    CELSIUS = "celsius"
    CURRENCY = "currency"
    TEXT = "text"


class UnitError(ValueError):
    """A quantity that cannot be read, or two units that cannot be compared."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a base unit. `unit` is None for a bare number, which fits any unit."""

    value: float
    unit: Unit | None


_TIME = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0,
    "seconds": 1.0, "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0,
    "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0, "d": 86400.0, "day": 86400.0,
    "days": 86400.0, "w": 604800.0, "week": 604800.0, "weeks": 604800.0,
}  # fmt: skip
_BYTES = {
    "b": 1.0, "byte": 1.0, "bytes": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "pb": 1e15,
    "ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30, "ti": 2.0**40, "pi": 2.0**50,
    "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30, "tib": 2.0**40, "pib": 2.0**50,
}  # fmt: skip
_COUNT_WORDS = (
    "count", "x", "job", "jobs", "item", "items", "connection", "connections", "request", "requests",
    "error", "errors", "pod", "pods", "node", "nodes", "replica", "replicas", "restart", "restarts",
    "failure", "failures", "file", "files", "row", "rows", "user", "users", "query", "queries", "event",
    "events", "line", "lines", "message", "messages", "process", "processes", "time", "times", "key", "keys",
    "session", "sessions", "target", "targets", "alert", "alerts", "backup", "backups", "package", "packages",
)  # fmt: skip


def _table() -> dict[str, tuple[Unit, float]]:
    table: dict[str, tuple[Unit, float]] = {"%": (Unit.RATIO, 0.01), "percent": (Unit.RATIO, 0.01)}
    table |= {"ratio": (Unit.RATIO, 1.0)}
    table |= {word: (Unit.SECONDS, factor) for word, factor in _TIME.items()}
    table |= {word: (Unit.BYTES, factor) for word, factor in _BYTES.items()}
    table |= dict.fromkeys(_COUNT_WORDS, (Unit.COUNT, 1.0))
    table |= {f"{word}/s": (Unit.BYTES_PER_SECOND, factor) for word, factor in _BYTES.items()}
    for word in ("", "req", "reqs", *_COUNT_WORDS):
        table |= {
            f"{word}/s": (Unit.PER_SECOND, 1.0),
            f"{word}/min": (Unit.PER_SECOND, 1 / 60),
            f"{word}/h": (Unit.PER_SECOND, 1 / 3600),
        }
    table |= {"usd": (Unit.CURRENCY, 1.0), "eur": (Unit.CURRENCY, 1.0), "$": (Unit.CURRENCY, 1.0)}
    table |= {"°c": (Unit.CELSIUS, 1.0), "celsius": (Unit.CELSIUS, 1.0)}
    return table


SUFFIXES = _table()
_QUANTITY = re.compile(r"^\s*(\$)?\s*([+-]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*)?$")
_LONGEST = 200  # characters of a quantity; systems that are looked at may say anything in its place
_COMPOUND = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµ]+)")


def parse_quantity(text: str) -> Quantity:
    """Read "500ms", "0.1 %", "5MB", "10 jobs", "100 req/s" or a bare number into base units.

    Compound durations ("1h30m") are read too. Raises UnitError with the nearest known unit.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        raise UnitError(f"{text[:40] + '...'!r} is not a quantity: expected a number and a unit, such as 500ms or 80%")
    match = _QUANTITY.match(text)
    if match is None:
        raise UnitError(f"{text!r} is not a quantity: expected a number and a unit, such as 500ms or 80%")
    dollar, number, suffix = match.groups()
    value = float(number.replace("_", ""))
    if dollar and not suffix:
        suffix = "$"
    if not suffix:
        return Quantity(value, None)
    word = re.sub(r"\s*/\s*", "/", suffix.strip().lower())
    if word in SUFFIXES:
        unit, factor = SUFFIXES[word]
        # division keeps 80% and 500ms the doubles that 0.8 and 0.5 are
        return Quantity(value / round(1 / factor) if 0 < factor < 1 else value * factor, unit)
    compound = _COMPOUND.findall(text.lower())
    whole = re.sub(r"\s", "", text.lower()) == "".join(n + u for n, u in compound)
    if len(compound) > 1 and whole and all(part in _TIME for _, part in compound):
        return Quantity(sum(float(n) * _TIME[u] for n, u in compound), Unit.SECONDS)
    near = get_close_matches(word, SUFFIXES, n=1, cutoff=0.4)
    raise UnitError(f"unknown unit {suffix.strip()!r} in {text!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def parse_duration(value: str | int | float | timedelta) -> timedelta:
    """Read "90s", "5m", "1h30m", "7d" or a bare number of seconds. Raises UnitError; never negative."""
    if isinstance(value, timedelta):
        return value
    wrong = UnitError(f"{value!r} is not a duration: expected something like 30s, 5m or 24h")
    if isinstance(value, bool):
        raise wrong
    try:
        quantity = Quantity(float(value), None) if isinstance(value, int | float) else parse_quantity(value)
    except UnitError as error:
        raise error if _names_a_time(str(error)) else wrong from None
    if quantity.unit not in (None, Unit.SECONDS):
        raise wrong
    if not 0 <= quantity.value < 1e10:  # also refuses nan and inf
        raise UnitError(f"{value!r} is not a duration: it must be between 0 and 300 years")
    return timedelta(seconds=quantity.value)


def _names_a_time(hint: str) -> bool:
    near = re.search(r"did you mean '(\w+)'", hint)
    return near is not None and near[1] in _TIME


def convert(quantity: Quantity, unit: Unit | None) -> float:
    """The quantity's number in `unit`. A bare number is taken as it is. Raises UnitError when they differ in kind."""
    if quantity.unit is None or unit is None or quantity.unit == unit:
        return quantity.value
    if quantity.unit is Unit.SECONDS and unit is Unit.DAYS:
        return quantity.value / 86400.0
    if quantity.unit is Unit.SECONDS and unit is Unit.TIMESTAMP:
        return quantity.value
    # a count without its own word ("connections") and a plain number are the same thing
    if {quantity.unit, unit} == {Unit.COUNT, Unit.CURRENCY}:
        return quantity.value
    raise UnitError(f"a limit in {quantity.unit} cannot be compared with a measure in {unit}")


def format_duration(seconds: float) -> str:
    """Short form for people: 350ms, 12s, 4m 10s, 3h, 2d 4h."""
    sign, rest = ("-", -seconds) if seconds < 0 else ("", seconds)
    if rest < 0.001:
        return f"{sign}{rest * 1e6:.3g}us" if rest else "0s"
    if rest < 1:
        return f"{sign}{rest * 1000:.3g}ms"
    if rest < 60:
        return f"{sign}{rest:.3g}s"
    total = round(rest)
    parts = [(total // 86400, "d"), (total % 86400 // 3600, "h"), (total % 3600 // 60, "m"), (total % 60, "s")]
    first = next(i for i, (n, _) in enumerate(parts) if n)
    return sign + " ".join(f"{n}{u}" for n, u in parts[first : first + 2] if n)


_SHORT: dict[str, str] = {Unit.DAYS: "d", Unit.PER_SECOND: "/s", Unit.CELSIUS: "°C"}


def format_value(value: float | str, unit: Unit | str | None) -> str:
    """A measurement for people: 0.25 seconds is 250ms, 0.5 ratio is 50%, 2e9 bytes is 2GB."""
    if isinstance(value, str) or not math.isfinite(value):
        return str(value)
    if unit == Unit.SECONDS:
        return format_duration(value)
    if unit in (Unit.BYTES, Unit.BYTES_PER_SECOND):
        return _format_bytes(value) + ("/s" if unit == Unit.BYTES_PER_SECOND else "")
    if unit == Unit.RATIO:
        return f"{value * 100:.4g}%"
    suffix = _SHORT.get(str(unit))
    if suffix is not None:
        return f"{value:.4g}{suffix}"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def format_exact(value: float, unit: Unit | str | None) -> str:
    """As `format_value`, with every digit: for a value so near its limit that rounding would move it across."""
    match unit:
        case Unit.SECONDS if value >= 60:
            minutes, seconds = divmod(value, 60)
            parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "m"), (seconds, "s")]
            return " ".join(f"{n:.9g}{u}" for n, u in parts if n)
        case Unit.SECONDS:
            return f"{value:.12g}s"
        case Unit.RATIO:
            return f"{value * 100:.12g}%"
        case Unit.BYTES | Unit.BYTES_PER_SECOND:
            return f"{value:.15g}B" + ("/s" if unit == Unit.BYTES_PER_SECOND else "")
        case Unit.DAYS:
            return f"{value:.12g}d"
        case _:
            return f"{value:.15g}"


def _format_bytes(value: float) -> str:
    for factor, suffix in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= factor:
            return f"{value / factor:.4g}{suffix}"
    return f"{value:.4g}B"
