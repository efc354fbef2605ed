"""The part of PromQL the stand-in reads: selectors, rates, aggregations, arithmetic, comparisons, set operators."""

from __future__ import annotations

import re
from dataclasses import dataclass

from healthd.model.units import parse_duration

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![a-zA-Z0-9]))|(?P<duration>\d+(?:ms|[smhdw])(?:\d+(?:ms|[smh]))*)
    |(?P<name>[a-zA-Z_:][\w:]*)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<op>=~|!~|==|!=|<=|>=|[-+*/%<>=(){}\[\],]))""",
    re.VERBOSE,
)
# loosest first; comparison and set operators as in PromQL
_PRECEDENCE = (("or",), ("and", "unless"), ("==", "!=", "<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))
AGGREGATIONS = ("sum", "avg", "min", "max", "count")
FUNCTIONS = ("rate", "increase", "histogram_quantile", "vector", "avg_over_time", "max_over_time", "absent")


class QueryError(ValueError):
    """A query the stand-in cannot read or answer."""


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Selector:
    """`name{label op "value", ...}[window]`; window in seconds, None for an instant."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    window: float | None


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`function by (labels) (operand)`, or `without`."""

    function: str
    operand: Node
    labels: tuple[str, ...]
    without: bool


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    left: Node
    right: Node
    as_bool: bool


Node = Number | Selector | Call | Aggregation | Binary


def parse(query: str) -> Node:
    """The query as a tree. QueryError for what is not PromQL, or not the part of it that is known here."""
    return _Parser(query).parse()


class _Parser:
    def __init__(self, query: str) -> None:
        self._tokens = list(_tokens(query))
        self._at = 0

    def parse(self) -> Node:
        node = self._binary(0)
        if self._peek()[1]:
            raise QueryError(f"unexpected {self._peek()[1]!r}")
        return node

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, text: str) -> bool:
        if self._peek()[1] != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        found = self._next()[1]
        if found != text:
            raise QueryError(f"expected {text!r}, found " + (repr(found) if found else "the end"))

    def _binary(self, level: int) -> Node:
        if level == len(_PRECEDENCE):
            return self._unary()
        node = self._binary(level + 1)
        while self._peek()[1] in _PRECEDENCE[level]:
            op = self._next()[1]
            as_bool = self._take("bool")
            if self._peek()[1] in ("on", "ignoring", "group_left", "group_right"):
                raise QueryError(f"{self._peek()[1]} is not known to the stand-in")
            node = Binary(op, node, self._binary(level + 1), as_bool)
        return node

    def _unary(self) -> Node:
        if self._take("-"):
            return Binary("*", Number(-1.0), self._unary(), False)
        return self._primary()

    def _primary(self) -> Node:
        kind, text = self._next()
        if kind == "number":
            return Number(float(text))
        if text == "(":
            node = self._binary(0)
            self._expect(")")
            return node
        if text in AGGREGATIONS and self._peek()[1] in ("(", "by", "without"):
            return self._aggregation(text)
        if kind == "name" and self._peek()[1] == "(":
            return self._call(text)
        if kind == "name":
            return self._selector(text)
        raise QueryError(f"unexpected {text!r}" if text else "the query ends too early")

    def _aggregation(self, function: str) -> Node:
        labels, without = self._grouping()
        self._expect("(")
        operand = self._binary(0)
        self._expect(")")
        if not labels and not without:
            labels, without = self._grouping()
        return Aggregation(function, operand, labels, without)

    def _grouping(self) -> tuple[tuple[str, ...], bool]:
        without = self._peek()[1] == "without"
        if not without and self._peek()[1] != "by":
            return (), False
        self._next()
        self._expect("(")
        labels = []
        while not self._take(")"):
            labels.append(self._next()[1])
            self._take(",")
        return tuple(labels), without

    def _call(self, function: str) -> Node:
        if function not in FUNCTIONS:
            raise QueryError(f"the function {function} is not known to the stand-in, only {', '.join(FUNCTIONS)}")
        self._expect("(")
        arguments = []
        while not self._take(")"):
            arguments.append(self._binary(0))
            if not self._take(",") and self._peek()[1] != ")":
                raise QueryError(f"expected ) after the arguments of {function}")
        return Call(function, tuple(arguments))

    def _selector(self, name: str) -> Node:
        matchers = []
        if self._take("{"):
            while not self._take("}"):
                label, op, (kind, value) = self._next()[1], self._next()[1], self._next()
                if op not in ("=", "!=", "=~", "!~") or kind != "string":
                    raise QueryError(f"bad label matcher at {label!r}")
                matchers.append((label, op, value[1:-1]))
                self._take(",")
        window = None
        if self._take("["):
            kind, text = self._next()
            if kind != "duration":
                raise QueryError(f"expected a duration such as 5m, found {text!r}")
            window = parse_duration(text).total_seconds()
            self._expect("]")
        return Selector(name, tuple(matchers), window)


def _tokens(query: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    query = query.strip()
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise QueryError(f"cannot read {query[at : at + 20]!r}")
        tokens.append((match.lastgroup or "", match[match.lastgroup or 0]))
        at = match.end()
    return tokens
