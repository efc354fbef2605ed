"""Names of tables, roles and databases as people write them, with * and ?, matched by the server."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["like", "one_of"]

_LIKE = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"}


def like(globs: Iterable[str]) -> list[str]:
    """Patterns for LIKE: `*` is any text, `?` one character, everything else itself."""
    return [re.sub(r"[*?%_\\]", lambda found: _LIKE[found[0]], glob) for glob in globs]


def one_of(*columns: str, wanted: str, unwanted: str) -> str:
    """SQL: one of the columns fits a pattern of the parameter `wanted`, and none fits one of `unwanted`.

    No wanted pattern at all means every name.
    """
    fits = " OR ".join(f"{column} LIKE ANY (%({wanted})s::text[])" for column in columns)
    out = " OR ".join(f"{column} LIKE ANY (%({unwanted})s::text[])" for column in columns)
    return f"((cardinality(%({wanted})s::text[]) = 0 OR {fits}) AND NOT coalesce({out}, false))"
