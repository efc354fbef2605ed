"""From nodes to plain values, with variables filled in and the reasons why that failed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from healthd.catalogue.environment import Environment
from healthd.catalogue.nodes import Mapping, Node, Scalar, scalars
from healthd.catalogue.problems import Problem, RefusedError, listing

_INT = re.compile(r"[-+]?[0-9]{1,30}$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,5})?$")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_SHORTEST_MASKED = 4
_BEGINS_NUMBER = frozenset("0123456789+-.")


def plain_value(text: str) -> Any:
    """What an unquoted word means by YAML 1.2's core schema: `yes`, `on`, `09:30` and dates are text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _BEGINS_NUMBER:
        if _INT.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
    return text


class Values:
    """Builds plain values for one load and remembers which scalars came from the environment."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._substituted: dict[Scalar, str] = {}
        self._unresolved: set[Scalar] = set()
        self._missing: dict[tuple[str, int, str], list[str]] = defaultdict(list)
        self._refused: set[Problem] = set()

    def build(self, node: Node, owner: str) -> Any:
        """Its plain value. `owner` ("check host/disk") is named when a variable it needs is missing."""
        if isinstance(node, Scalar):
            if "${" in node.text:
                return self._substitute(node, owner)
            return plain_value(node.text) if node.plain else node.text
        if isinstance(node, Mapping):
            return {key.text: self.build(value, owner) for key, value in node.pairs}
        return [self.build(item, owner) for item in node.items]

    def is_substituted(self, node: Node) -> bool:
        """Whether anything below came from the environment and must not be shown."""
        return any(scalar in self._substituted for scalar in scalars(node))

    def is_unresolved(self, node: Node) -> bool:
        """Whether a variable below is missing: what else is wrong with the value follows from that."""
        return any(scalar in self._unresolved for scalar in scalars(node))

    def mask(self, node: Node, message: str) -> str:
        """The message with values from the environment shown as they are written: as `${NAME}`."""
        found = [(s, value) for s in scalars(node) if (value := self._substituted.get(s)) and value != s.text]
        for scalar, value in sorted(found, key=lambda pair: -len(pair[1])):
            message = message.replace(repr(value), repr(scalar.text))
            if len(value) >= _SHORTEST_MASKED:  # shorter ones would be found in unrelated words
                message = message.replace(value, scalar.text)
        return message

    def is_emptied(self, node: Node) -> bool:
        """Whether the scalar consists of variables which are all empty."""
        return isinstance(node, Scalar) and self._substituted.get(node) == "" and node not in self._unresolved

    def problems(self) -> Iterator[Problem]:
        """Every missing variable once per place, with whoever needs it."""
        yield from self._refused
        for (file, line, name), owners in self._missing.items():
            who = listing(list(dict.fromkeys(owners)), 5)
            yield Problem(
                file,
                line,
                f"the variable {name} is not set; needed by {who}",
                f"set {name} or {name}_FILE, or write ${{{name}:-default}}",
            )

    def _substitute(self, node: Scalar, owner: str) -> str:
        try:
            value, missing = self.environment.substitute(node.text)
        except RefusedError as refusal:
            value, missing = "", ()
            self._unresolved.add(node)
            self._refused.add(Problem(node.file, node.line, f"{owner}: {refusal}", refusal.hint))
        for name in missing:
            self._missing[node.file, node.line, name].append(owner)
            self._unresolved.add(node)
        self._substituted[node] = value
        return value
