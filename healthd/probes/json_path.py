"""A small, safe subset of JSONPath: enough to point at a value of a health answer, nothing that computes.

$                       the document itself
$.checks.database       members (the leading "$." may be left out)
$['odd key']["x.y"]     members whose name needs quotes; a backslash escapes a quote
$.items[0], $.items[-1] elements, counted from the start or the end
$.items[*], $.checks.*  every element or member: one match each
$.items.length()        how many elements, members or characters (only at the end)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any


class JsonPathError(ValueError):
    """A path that cannot be read."""


class _Special(Enum):
    EVERY = "*"
    LENGTH = "length()"


_Step = str | int | _Special

_TOKEN = re.compile(
    r"""\.(?P<length>length\(\)) | \.(?P<star>\*) | \.(?P<name>[^.\[\]()'"*\s]+)
      | \[\s*(?:(?P<index>-?\d{1,9}) | (?P<every>\*) | (?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))\s*\]""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Match:
    """One value found. `keys` are the indexes and names its wildcards stood for, `element` the innermost of these."""

    value: Any
    keys: tuple[str, ...] = ()
    element: Any = None


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path that has been read; `text` is as it was written."""

    text: str
    steps: tuple[_Step, ...]

    def find(self, document: Any) -> list[Match]:
        """Every match in document order; empty when nothing is there."""
        matches = [Match(document)]
        for step in self.steps:
            matches = [found for match in matches for found in _follow(match, step)]
        return matches

    def __str__(self) -> str:
        return self.text


def parse_json_path(text: str) -> JsonPath:
    """Read a path. Raises JsonPathError saying where it went wrong and what would be right."""
    clean = text.strip()
    if not clean:
        raise JsonPathError("empty JSON path: expected something like $.checks.database.status")
    rest = clean[1:] if clean[0] == "$" else clean if clean[0] in "[." else f".{clean}"
    steps: list[_Step] = []
    position = 0
    while position < len(rest):
        token = _TOKEN.match(rest, position)
        if token is None:
            raise JsonPathError(
                f"{text!r} is not a JSON path: cannot read {rest[position:]!r};"
                " expected .name, ['name'], [0], [*] or .length()"
            )
        if steps and steps[-1] is _Special.LENGTH:
            raise JsonPathError(f"{text!r} is not a JSON path: length() must be its last part")
        steps.append(_step(token))
        position = token.end()
    return JsonPath(clean, tuple(steps))


def _step(token: re.Match[str]) -> _Step:
    if token["length"]:
        return _Special.LENGTH
    if token["star"] or token["every"]:
        return _Special.EVERY
    if token["index"]:
        return int(token["index"])
    if token["quoted"]:
        return re.sub(r"\\(.)", r"\1", token["quoted"][1:-1], flags=re.DOTALL)
    return token["name"]


def _follow(match: Match, step: _Step) -> Iterator[Match]:
    value = match.value
    if step is _Special.LENGTH:
        if isinstance(value, list | dict | str):
            yield Match(len(value), match.keys, match.element)
    elif step is _Special.EVERY:
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in pairs:
            yield Match(item, (*match.keys, str(key)), item)
    elif isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield Match(value[step], match.keys, match.element)
    elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
        yield Match(value[step], match.keys, match.element)
