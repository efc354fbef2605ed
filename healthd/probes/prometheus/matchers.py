"""Label matchers as Prometheus writes them: =, !=, =~ and !~, the patterns anchored at both ends. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from healthd.probes.patterns import regular_expression, search_all

_WRITTEN = re.compile(r"^\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*(.*?)\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. A label that is absent is the empty word, as in Prometheus."""

    label: str
    op: str
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it."""
        actual = labels.get(self.label, "")
        same = (
            actual == self.value
            if self.op in ("=", "!=")
            else search_all(re.compile(self.value), [actual], whole=True)[0] is not None
        )
        return same != self.op.startswith("!")

    def __str__(self) -> str:
        return f'{self.label}{self.op}"{self.value}"'


def parse_matcher(text: str) -> Matcher:
    """Read `severity="critical"` or `team=~platform|data`. Raises ValueError."""
    match = _WRITTEN.match(text)
    if match is None:
        raise ValueError(f'{text!r} is not a label matcher: expected something like severity="critical" or team=~"a|b"')
    label, op, value = match.groups()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return Matcher(label, op, regular_expression(value) if "~" in op else value)


def read_matchers(written: Any) -> tuple[Matcher, ...]:
    """A list of matchers, or a mapping of labels to the words they must be equal to. Raises ValueError."""
    if isinstance(written, str):
        written = [written]
    if isinstance(written, Mapping):
        return tuple(Matcher(str(label), "=", str(value)) for label, value in written.items())
    return tuple(item if isinstance(item, Matcher) else parse_matcher(str(item)) for item in written)


def all_hold(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every one holds."""
    return all(matcher.holds(labels) for matcher in matchers)
