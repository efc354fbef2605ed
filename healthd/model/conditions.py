"""Conditions on one value, written as people write them in a runbook's table.

    < 500ms      >= 80%      > 24h       = connected      != failed
    in [Running, Succeeded]  not in [a, b]
    between 5MB and 50MB     outside 5MB and 50MB        (both ends belong to "between")
    < 5MB or > 50MB          >= 1 and < 5

Limits are exact: a value equal to a `>=` limit has reached it, one equal to a `>` limit has not.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from healthd.model.units import Quantity, Unit, UnitError, convert, parse_quantity


class ConditionError(ValueError):
    """A condition that cannot be read."""


_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
_SPELLINGS = {"==": "=", "≤": "<=", "≥": ">=", "≠": "!=", "=<": "<=", "=>": ">=", "<>": "!="}
_WORDS_FOR_NUMBERS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`operator limit`. `word` is set instead of `limit` for equality with a word."""

    op: str
    limit: Quantity | None
    word: str | None = None

    def holds(self, value: float | str, unit: Unit | None) -> bool:
        if self.limit is not None and not isinstance(value, str):
            return _OPERATORS[self.op](value, convert(self.limit, unit))
        if self.op in ("=", "!="):
            return (str_value(value) == self.word) == (self.op == "=")
        if isinstance(value, str):
            raise UnitError(f"the value {value!r} is a word; {self.op!r} compares numbers")
        raise UnitError(f"the value {value:g} is a number; it cannot be compared with {self.word!r}")


@dataclass(frozen=True, slots=True)
class Membership:
    """`in [a, b]` or `not in [a, b]`: words or numbers."""

    members: frozenset[str]
    negated: bool

    def holds(self, value: float | str, unit: Unit | None) -> bool:
        return (str_value(value) in self.members) != self.negated


@dataclass(frozen=True, slots=True)
class Combination:
    """`a or b`, `a and b`."""

    every: bool
    parts: tuple[Comparison | Membership | Combination, ...]

    def holds(self, value: float | str, unit: Unit | None) -> bool:
        results = (part.holds(value, unit) for part in self.parts)
        return all(results) if self.every else any(results)


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition with the text it was read from."""

    text: str
    test: Comparison | Membership | Combination

    def holds(self, value: float | str, unit: Unit | None = None) -> bool:
        """Whether `value` (base unit `unit`, None if unknown) satisfies the condition.

        NaN satisfies nothing but `!=`. Raises UnitError when units or kinds cannot be compared.
        """
        return self.test.holds(value, unit)

    def units(self) -> frozenset[Unit]:
        """The units its limits are written in (bare numbers have none)."""
        return frozenset(q.unit for q in _limits(self.test) if q.unit is not None)

    def limits(self, unit: Unit | None = None) -> tuple[float, ...]:
        """Its numeric limits in `unit`, left to right: what a plot or a gauge shows."""
        return tuple(convert(q, unit) for q in _limits(self.test))

    def __str__(self) -> str:
        return self.text


def _limits(test: Comparison | Membership | Combination) -> list[Quantity]:
    if isinstance(test, Comparison):
        return [test.limit] if test.limit is not None else []
    if isinstance(test, Combination):
        return [q for part in test.parts for q in _limits(part)]
    return []


def str_value(value: float | str) -> str:
    """Words compare as they are; numbers by their shortest form (5.0 and "5" are equal)."""
    return value if isinstance(value, str) else f"{value:.15g}"


_LIST = re.compile(r"^(not\s+)?in\s*[\[({](.*)[\])}]$", re.IGNORECASE | re.DOTALL)
_RANGE = re.compile(r"^(between|outside)\s+(.+?)\s+(?:and|to)\s+(.+)$", re.IGNORECASE)
_COMPARE = re.compile(r"^(<=|>=|==|!=|<>|=<|=>|≤|≥|≠|<|>|=)\s*(.+)$", re.DOTALL)


@lru_cache(maxsize=4096)  # thousands of checks share a few limits
def parse_condition(text: str) -> Condition:
    """Read a condition. Raises ConditionError saying what is wrong and what would be right."""
    clean = " ".join(str(text).split())
    if not clean:
        raise ConditionError('empty condition: expected something like "< 500ms" or "= connected"')
    return Condition(clean, _parse(clean))


def _parse(text: str) -> Comparison | Membership | Combination:
    if match := _RANGE.match(text):
        kind, low, high = match.groups()
        if " or " not in text:
            return _range(kind.lower(), low, high)
    for word, every in (("or", False), ("and", True)):
        parts = re.split(rf"\s+{word}\s+(?=not in|in\b|between|outside|[<>=!≤≥≠])", text, flags=re.IGNORECASE)
        if len(parts) > 1:
            return Combination(every, tuple(_parse(part) for part in parts))
    if match := _LIST.match(text):
        members = [m.strip().strip("'\"") for m in match[2].split(",")]
        if not all(members):
            raise ConditionError(f"{text!r} has an empty member: expected in [a, b]")
        return Membership(frozenset(_normal(m) for m in members), bool(match[1]))
    if match := _COMPARE.match(text):
        op = _SPELLINGS.get(match[1], match[1])
        return _comparison(op, match[2].strip())
    raise ConditionError(
        f"{text!r} is not a condition: start with one of <, <=, >, >=, =, !=, in [...], between ... and ..."
        + (f'; did you mean "< {text}" or ">= {text}"?' if text[0].isdigit() else "")
    )


def _range(kind: str, low: str, high: str) -> Combination:
    a, b = _quantity(low), _quantity(high)
    if a.unit is None and b.unit is not None:  # "between 5 and 50MB" means 5MB
        a = _quantity(low + high.strip().lstrip("+-0123456789._ "))
    if a.value > b.value:
        raise ConditionError(f"the range from {low} to {high} is empty: write the smaller limit first")
    ops = (">=", "<=") if kind == "between" else ("<", ">")
    return Combination(kind == "between", (Comparison(ops[0], a), Comparison(ops[1], b)))


def _comparison(op: str, operand: str) -> Comparison:
    if operand[0] in "<>=!":
        raise ConditionError(f"{op}{operand!r} is not an operator: use one of <, <=, >, >=, =, !=")
    if operand[0] in "'\"" and operand[-1] == operand[0] and len(operand) > 1:
        return _word(op, operand[1:-1])
    if operand.lower() in _WORDS_FOR_NUMBERS and op in ("=", "!="):
        return Comparison(op, Quantity(_WORDS_FOR_NUMBERS[operand.lower()], None), operand)
    try:
        quantity = parse_quantity(operand)
    except UnitError as error:
        if op in ("=", "!=") and not operand[0].isdigit():
            return _word(op, operand)
        if op in ("=", "!="):  # "= 9.6.1" or "= 200 OK": a word that begins with a digit
            return _word(op, operand)
        raise ConditionError(str(error)) from None
    return Comparison(op, quantity, _normal(operand))


def _word(op: str, word: str) -> Comparison:
    if op not in ("=", "!="):
        raise ConditionError(f"{op} {word!r} compares with a word: only = and != can")
    return Comparison(op, None, word)


def _quantity(text: str) -> Quantity:
    try:
        return parse_quantity(text)
    except UnitError as error:
        raise ConditionError(str(error)) from None


def _normal(member: str) -> str:
    try:
        quantity = parse_quantity(member)
    except UnitError:
        return member
    return str_value(quantity.value)
