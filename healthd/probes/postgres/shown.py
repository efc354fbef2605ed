"""Statements as evidence: without the values in them, which may be anybody's."""

from __future__ import annotations

import re

from healthd.model.units import format_duration

__all__ = ["QUERY_CHARS", "ago", "shown_query"]

QUERY_CHARS = 200
# what the server cut off may leave a quote or a comment open: then everything after it goes
_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n\r]*|/\*.*?(?:\*/|\Z))
    | (?P<value>
          [eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
        | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|\Z)
        | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
        | (?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?
      )
    | (?:"(?:[^"]|"")*(?:"|\Z)|[^\W\d][\w$]*|\$\d+)
    """,
    re.VERBOSE | re.DOTALL,
)


def shown_query(text: str | None) -> str:
    """A statement on one line, its literals as `?`, its comments left out, cut after 200 characters."""
    if text is None:
        return "(hidden)"
    plain = " ".join(_TOKEN.sub(_shown, text).split())
    return plain if len(plain) <= QUERY_CHARS else plain[: QUERY_CHARS - 1] + "…"


def _shown(found: re.Match[str]) -> str:
    if found["value"]:
        return "?"
    return " " if found["comment"] else found[0]


def ago(seconds: float | None) -> str:
    """An age for people; "never" when there is none."""
    return "never" if seconds is None else format_duration(max(0.0, float(seconds)))
