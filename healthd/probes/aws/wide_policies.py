"""Policy documents that allow everything. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["allows_everything"]

_EVERY_ACTION = frozenset({"*", "*:*"})


def allows_everything(document: Any) -> bool:
    """Whether a statement allows every action on every resource, without a condition.

    `NotAction` and `NotResource` allow all but something, which is as good as everything.
    """
    if not isinstance(document, Mapping):
        return False
    statements = document.get("Statement", ())
    return any(map(_is_wide, [statements] if isinstance(statements, Mapping) else statements))


def _is_wide(statement: Mapping[str, Any]) -> bool:
    if statement.get("Effect") != "Allow" or statement.get("Condition"):
        return False
    actions = "NotAction" in statement or _EVERY_ACTION & set(_many(statement.get("Action")))
    return bool(actions) and ("NotResource" in statement or "*" in _many(statement.get("Resource")))


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
