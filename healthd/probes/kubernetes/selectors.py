"""Label selectors, evaluated here: checks with different selectors can share one list of objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Requirement", "Selector", "read_selector"]

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9._-]*"
_REQUIREMENT = re.compile(
    rf"""\s*(?:
        (?P<absent>!\s*)(?P<absent_key>{_KEY})
      | (?P<set_key>{_KEY})\s+(?P<set_op>in|notin)\s*\((?P<set>[^()]*)\)
      | (?P<key>{_KEY})\s*(?:(?P<op>==|=|!=)\s*(?P<value>{_VALUE}))?
    )\s*(?:,|$)""",
    re.VERBOSE,
)
_VALUE_ALONE = re.compile(_VALUE)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One part of a selector: the label is among (or, negated, not among) `values`; without values: it is there."""

    key: str
    values: frozenset[str] | None = None
    negated: bool = False

    def holds(self, labels: Mapping[str, str]) -> bool:
        """As Kubernetes has it: an absent label satisfies every negation."""
        value = labels.get(self.key)
        found = value is not None and (self.values is None or value in self.values)
        return found != self.negated


@dataclass(frozen=True, slots=True)
class Selector:
    """Every requirement must hold; without any, everything is selected."""

    requirements: tuple[Requirement, ...] = ()
    text: str = ""

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(requirement.holds(labels) for requirement in self.requirements)

    def exact(self) -> tuple[str, str] | None:
        """One label that every selected object has with one known value, if there is such a requirement."""
        for r in self.requirements:
            if r.values is not None and len(r.values) == 1 and not r.negated:
                return r.key, next(iter(r.values))
        return None

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def __str__(self) -> str:
        return self.text


def read_selector(written: Any) -> Selector:
    """Read `app=web,tier in (a, b),!canary` or a mapping of labels to values. Raises ValueError."""
    if isinstance(written, Selector):
        return written
    if isinstance(written, Mapping):
        text = ",".join(f"{key}={value}" for key, value in written.items())
    elif isinstance(written, str):
        text = written.strip()
    else:
        raise ValueError("expected a label selector such as app=web,tier!=cache, or a mapping of labels to values")
    return Selector(tuple(_requirements(text)), text)


def _requirements(text: str) -> list[Requirement]:
    found: list[Requirement] = []
    position = 0
    while position < len(text):
        match = _REQUIREMENT.match(text, position)
        if match is None:
            raise ValueError(
                f"{text!r} is not a label selector: cannot read {text[position:]!r};"
                " expected parts such as app=web, app!=web, app in (a, b), app notin (a), app or !app"
            )
        found.append(_requirement(match))
        position = match.end()
    return found


def _requirement(match: re.Match[str]) -> Requirement:
    if match["absent_key"]:
        return Requirement(match["absent_key"], None, negated=True)
    if match["set_key"]:
        values = [value.strip() for value in match["set"].split(",")]
        if odd := [value for value in values if not _VALUE_ALONE.fullmatch(value)]:
            raise ValueError(f"{odd[0]!r} cannot be the value of a label")
        return Requirement(match["set_key"], frozenset(values), negated=match["set_op"] == "notin")
    if match["op"] is None:
        return Requirement(match["key"])
    return Requirement(match["key"], frozenset([match["value"]]), negated=match["op"] == "!=")
