"""Filter patterns of CloudWatch Logs: terms, space-delimited fields, and JSON with one level of conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from healthd.sandbox.parts.aws.wire import Refusal

__all__ = ["Matches", "filter_pattern"]

Matches = Callable[[str], bool]
_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|%([^%]*)%|(\S+))')
_FIELD = re.compile(r'"[^"]*"|\[[^\]]*\]|\S+')
_CONDITION = re.compile(r"\s*(\$?[\w.]+)\s*(!=|<=|>=|=|<|>)\s*(\"[^\"]*\"|[^\s&|()]+)\s*")


def filter_pattern(text: str) -> Matches:
    """Whether a message fits the pattern. Raises Refusal (InvalidParameterException) for what is no pattern."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return _fields(text[1:-1])
    if text.startswith("{") and text.endswith("}"):
        return _json(text[1:-1])
    return _terms(text)


def _terms(text: str) -> Matches:
    """All of `a b`, none of `-c`; without either, any of `?d ?e`."""
    parts: dict[str, list[Matches]] = {"": [], "?": [], "-": []}
    for sign, quoted, expression, word in _TERM.findall(text):
        parts[sign].append(_has_expression(expression) if expression else _has(quoted or word))

    def matches(message: str) -> bool:
        if any(part(message) for part in parts["-"]):
            return False
        if parts[""]:
            return all(part(message) for part in parts[""])
        return not parts["?"] or any(part(message) for part in parts["?"])

    return matches


def _has(word: str) -> Matches:
    return lambda message: word in message


def _has_expression(expression: str) -> Matches:
    pattern = re.compile(expression)
    return lambda message: pattern.search(message) is not None


def _fields(text: str) -> Matches:
    """`[ip, ..., status=4* || status=5*]`: as many fields as words in a message, each with its conditions."""
    fields = [field.strip() for field in text.split(",")]
    conditions = [_any_or_all(field) if _CONDITION.search(field) else None for field in fields]

    def matches(message: str) -> bool:
        words = [word.strip('"[]') for word in _FIELD.findall(message)]
        wanted = list(zip(fields, conditions, strict=True))
        if "..." in fields:
            at = fields.index("...")
            wanted[at : at + 1] = [("*", None)] * (len(words) - len(fields) + 1)
        if len(words) != len(wanted):
            return False
        return all(holds is None or holds(partial(_this, word)) for word, (_, holds) in zip(words, wanted, strict=True))

    return matches


def _this(word: str, _: str) -> str:
    return word


def _json(text: str) -> Matches:
    """`{ $.level = "ERROR" && $.status >= 500 }`."""
    holds = _any_or_all(text)

    def matches(message: str) -> bool:
        try:
            document = json.loads(message)
        except ValueError:
            return False
        return holds(lambda path: _at(document, path))

    return matches


Look = Callable[[str], Any]


def _any_or_all(text: str) -> Callable[[Look], bool]:
    """Conditions joined by ||, or by &&, which binds tighter."""
    ways = [[_condition(one) for one in part.split("&&")] for part in text.split("||")]
    return lambda look: any(all(holds(look) for holds in way) for way in ways)


def _condition(text: str) -> Callable[[Look], bool]:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise Refusal("InvalidParameterException", f"Invalid filter pattern: {text.strip()!r}")
    name, sign, literal = found[1], found[2], found[3].strip('"')
    return lambda look: _holds(look(name), sign, literal)


def _holds(value: Any, sign: str, literal: str) -> bool:
    if sign in ("=", "!="):
        return (value is not None and fnmatchcase(str(value), literal)) == (sign == "=")
    try:
        left, right = float(value), float(literal)
    except (TypeError, ValueError):
        return False
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[sign]


def _at(document: Any, path: str) -> Any:
    for name in path.removeprefix("$").strip(".").split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document
