"""Matchers as people write them: read, and held to what can be used without taking for ever."""

from __future__ import annotations

import math
import re

from healthd.model.pattern_cost import steps
from healthd.model.silences import Matcher, SilenceError

MAX_VALUE = 200  # characters
MAX_STEPS = 1e8  # of an expression on a value: some tenths of a second
_WRITTEN = re.compile(r"\s*([A-Za-z_][\w./-]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)


def parse_matcher(text: str) -> Matcher:
    """`severity=SEV3`, `check=~shop/(web|api)`; a word alone is a check. Raises SilenceError."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        if re.fullmatch(r"[\w./*?-]+", text.strip()):
            return parse_matcher(f"check={text}")
        raise SilenceError(f"{text[:60]!r} is no matcher", "expected system=shop, check=shop/web or severity=~SEV[34]")
    name, operator, value = written[1], written[2], written[3]
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return checked(Matcher(name, operator, value))


def checked(matcher: Matcher) -> Matcher:
    """The matcher itself if it can be used. Raises SilenceError."""
    if matcher.op not in ("=", "!=", "=~", "!~"):
        raise SilenceError(f"{matcher.op!r} is no operator", "there are =, !=, =~ and !~")
    if len(matcher.value) > MAX_VALUE or len(matcher.name) > MAX_VALUE:
        raise SilenceError(f"{matcher.name[:40]}: more than {MAX_VALUE} characters")
    if matcher.op.endswith("~"):
        _check_expression(matcher)
    return matcher


def _check_expression(matcher: Matcher) -> None:
    try:
        cost = steps(re.compile(matcher.value), MAX_VALUE)
    except (re.error, RecursionError, OverflowError) as error:
        raise SilenceError(f"{matcher}: no regular expression: {error}") from None
    if math.isinf(cost):
        raise SilenceError(f"{matcher}: a repetition within a repetition may take for ever", "write a+ for (a+)+")
    if cost > MAX_STEPS:
        raise SilenceError(f"{matcher}: so many repetitions may take for ever", "write one .* for several")
