"""Answers parsed queries from the remembered samples, by PromQL's rules."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from healthd.sandbox.parts.monitoring.samples import Labels, Samples, Series
from healthd.sandbox.parts.monitoring.syntax import Aggregation, Binary, Call, Node, Number, QueryError, Selector


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of an instant vector."""

    labels: Labels
    value: float


Vector = list[Sample]
Value = float | Vector


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "avg": fmean,
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
}


def evaluate(node: Node, samples: Samples, at: float) -> Value:
    """The value of a query at a moment: a number, or a list of labelled numbers."""
    match node:
        case Number(value):
            return value
        case Selector(window=None):
            found = ((series, series.at(at)) for series in _select(node, samples))
            return [Sample(series.labels, value) for series, value in found if value is not None]
        case Selector():
            raise QueryError("a range such as [5m] stands inside a function such as rate()")
        case Aggregation():
            return _aggregate(node, _vector(evaluate(node.operand, samples, at)))
        case Binary():
            return _combine(node, evaluate(node.left, samples, at), evaluate(node.right, samples, at))
        case Call():
            return _call(node, samples, at)


def _select(selector: Selector, samples: Samples) -> Iterable[Series]:
    return (series for series in samples.named(selector.name) if _matches(series.labels, selector.matchers))


def _matches(labels: Labels, matchers: Iterable[tuple[str, str, str]]) -> bool:
    for label, op, wanted in matchers:
        value = labels.get(label, "")
        same = bool(re.fullmatch(wanted, value)) if op in ("=~", "!~") else value == wanted
        if same == op.startswith("!"):
            return False
    return True


def _vector(value: Value) -> Vector:
    if isinstance(value, float):
        raise QueryError("expected series, found a number")
    return value


def _nameless(labels: Labels) -> Labels:
    return {name: value for name, value in labels.items() if name != "__name__"}


def _key(labels: Labels) -> frozenset[tuple[str, str]]:
    return frozenset(_nameless(labels).items())


def _aggregate(node: Aggregation, vector: Vector) -> Vector:
    groups: dict[frozenset[tuple[str, str]], list[float]] = {}
    for sample in vector:
        kept = {
            name: value for name, value in _nameless(sample.labels).items() if (name in node.labels) != node.without
        }
        groups.setdefault(frozenset(kept.items()), []).append(sample.value)
    return [Sample(dict(key), _AGGREGATES[node.function](values)) for key, values in groups.items()]


def _combine(node: Binary, left: Value, right: Value) -> Value:
    if node.op in ("or", "and", "unless"):
        return _combine_sets(node.op, _vector(left), _vector(right))
    if isinstance(left, float) and isinstance(right, float):
        if node.op in _COMPARISONS:
            return float(_COMPARISONS[node.op](left, right))
        return _ARITHMETIC[node.op](left, right)
    if isinstance(left, float):
        pairs = [(sample, left, sample.value) for sample in _vector(right)]
    elif isinstance(right, float):
        pairs = [(sample, sample.value, right) for sample in left]
    else:
        partners = {_key(sample.labels): sample.value for sample in right}
        pairs = [(s, s.value, partners[_key(s.labels)]) for s in left if _key(s.labels) in partners]
    if node.op in _ARITHMETIC:
        return [Sample(_nameless(sample.labels), _ARITHMETIC[node.op](a, b)) for sample, a, b in pairs]
    if node.as_bool:
        return [Sample(_nameless(sample.labels), float(_COMPARISONS[node.op](a, b))) for sample, a, b in pairs]
    return [sample for sample, a, b in pairs if _COMPARISONS[node.op](a, b)]


def _combine_sets(op: str, left: Vector, right: Vector) -> Vector:
    in_left, in_right = {_key(s.labels) for s in left}, {_key(s.labels) for s in right}
    if op == "or":
        return left + [s for s in right if _key(s.labels) not in in_left]
    return [s for s in left if (_key(s.labels) in in_right) == (op == "and")]


def _call(node: Call, samples: Samples, at: float) -> Value:
    match node.function, node.arguments:
        case (("rate" | "increase" | "avg_over_time" | "max_over_time"), (Selector(window=float()) as selector,)):
            return _over_time(node.function, selector, samples, at)
        case "vector", (Number(value),):
            return [Sample({}, value)]
        case "absent", (argument,):
            return [] if _vector(evaluate(argument, samples, at)) else [Sample({}, 1.0)]
        case "histogram_quantile", (Number(quantile), argument):
            return _histogram_quantile(quantile, _vector(evaluate(argument, samples, at)))
    raise QueryError(f"{node.function} does not take these arguments")


def _over_time(function: str, selector: Selector, samples: Samples, at: float) -> Vector:
    assert selector.window is not None
    vector = []
    for series in _select(selector, samples):
        points = series.between(at - selector.window, at)
        values = [value for _, value in points]
        if function in ("rate", "increase"):
            if len(points) < 2:
                continue
            grown = sum(b - a if b >= a else b for a, b in pairwise(values))
            per_second = grown / (points[-1][0] - points[0][0])
            value = per_second if function == "rate" else per_second * selector.window
        elif not values:
            continue
        else:
            value = fmean(values) if function == "avg_over_time" else max(values)
        vector.append(Sample(_nameless(series.labels), value))
    return vector


def _histogram_quantile(quantile: float, buckets: Vector) -> Vector:
    groups: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
    for sample in buckets:
        labels = dict(_nameless(sample.labels))
        if (limit := labels.pop("le", None)) is not None:
            groups.setdefault(frozenset(labels.items()), []).append((float(limit), sample.value))
    return [Sample(dict(key), _quantile(quantile, sorted(bounds))) for key, bounds in groups.items()]


def _quantile(quantile: float, bounds: list[tuple[float, float]]) -> float:
    """Linear within the bucket the quantile falls into; the last finite limit when it falls above."""
    if len(bounds) < 2 or not math.isinf(bounds[-1][0]) or bounds[-1][1] == 0:
        return math.nan
    rank = quantile * bounds[-1][1]
    lower, below = 0.0, 0.0
    for limit, cumulative in bounds:
        if cumulative >= rank:
            if math.isinf(limit) or cumulative == below:
                return lower
            return lower + (limit - lower) * (rank - below) / (cumulative - below)
        lower, below = limit, cumulative
    return lower
