"""From what a query returned to one number per series. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from healthd.model.outcomes import ProbeError

Labels = Mapping[str, str]


class ResultError(Exception):
    """A result that is not one Prometheus gives, or that cannot become numbers."""


@dataclass(frozen=True, slots=True)
class Series:
    """Labels and finite values, oldest first. An instant query has one value; none is left when all were NaN.

    `times` are those of the values, in seconds since 1970.
    """

    labels: Labels
    values: tuple[float, ...]
    times: tuple[float, ...] = ()


def read_result(data: Any) -> list[Series]:
    """Read the `data` of a query's answer: scalar, vector or matrix. Raises ResultError."""
    try:
        kind, result = data["resultType"], data["result"]
        if kind == "scalar":
            return [_series({}, [result])]
        if kind == "vector":
            return [_series(item["metric"], [_sample(item)]) for item in result]
        if kind == "matrix":
            return [_series(item["metric"], item.get("values", [])) for item in result]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise ResultError("the answer is not one of Prometheus' query results") from None
    raise ResultError(f"the query gives a {kind}: expected numbers")


def _sample(item: Mapping[str, Any]) -> Any:
    if "value" not in item and "histogram" in item:
        raise ResultError("the query gives histograms: take a quantile or a rate of them")
    return item["value"]


def _series(labels: Mapping[str, Any], samples: Sequence[Any]) -> Series:
    points = [(float(time), number) for time, value in samples if math.isfinite(number := float(value))]
    return Series(
        {str(k): str(v) for k, v in labels.items()},
        tuple(number for _, number in points),
        tuple(time for time, _ in points),
    )


def _percentile(values: Sequence[float], percent: float) -> float:
    """By linear interpolation between the closest ranks, as PromQL's quantile does."""
    ranked = sorted(values)
    rank = percent / 100 * (len(ranked) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (ranked[high] - ranked[low]) * (rank - low)


_REDUCERS: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda values: values[-1],
    "first": lambda values: values[0],
    "avg": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "sum": math.fsum,
    "count": lambda values: float(len(values)),
    "delta": lambda values: values[-1] - values[0],
}


def reducer(name: str) -> Callable[[Sequence[float]], float]:
    """The function that makes one number of a range. Raises ValueError naming the known ones."""
    if match := re.fullmatch(r"p(\d{1,2}(?:\.\d+)?|100)", name):
        return lambda values: _percentile(values, float(match[1]))
    if name not in _REDUCERS:
        raise ValueError(f"unknown reduce {name!r}: expected one of {', '.join(_REDUCERS)} or a percentile such as p95")
    return _REDUCERS[name]


def check_reducer(name: str) -> str:
    """The name itself. Raises ValueError when no reducer is called so."""
    reducer(name)
    return name


def name_of(labels: Labels, template: str | None) -> str:
    """What a series is called: by a label's name, a template such as "{namespace}/{pod}", or by all its labels."""
    if template is None:
        return ",".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "__name__")
    if "{" not in template:
        return labels.get(template, "")
    return "".join(text + (labels.get(key, "") if key else "") for text, key, _, _ in Formatter().parse(template))


def named(found: Iterable[Series], template: str | None) -> dict[str, Series]:
    """Each series by its name. Raises ProbeError (kind config) when a name does not tell them apart."""
    names: dict[str, Series] = {}
    for series in found:
        name = name_of(series.labels, template)
        if name in names:
            raise ProbeError(
                f"several series are called {name!r}: aggregate, or let `series` tell them apart", "config"
            )
        names[name] = series
    return names


def check_template(template: str) -> str:
    """The template itself. Raises ValueError when it is none."""
    try:
        keys = [key for _, key, _, _ in Formatter().parse(template) if key is not None]
    except ValueError as error:
        raise ValueError(f"{template!r} is not a template: {error}") from None
    for key in keys if "{" in template else [template]:
        if not re.fullmatch(r"[a-zA-Z_]\w*", key):
            raise ValueError(f"{key!r} is not a label's name: expected something like pod or {{namespace}}/{{pod}}")
    return template
