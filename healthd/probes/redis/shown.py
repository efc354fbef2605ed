"""Keys and commands as evidence. Keys may be any bytes; arguments may be anybody's data."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["shown_command", "shown_key"]

_KEY_CHARS = 80
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9._|-]{0,40}")
# Commands whose first argument says which command it is.
_CONTAINERS = frozenset(
    {"ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY", "MEMORY", "OBJECT", "PUBSUB",
     "SCRIPT", "SLOWLOG", "XGROUP", "XINFO"}
)  # fmt: skip
_CUT_OFF = re.compile(r"\.\.\. \((\d+) more arguments\)")


def shown_key(key: str) -> str:
    """A key in printable characters, cut after 80."""
    text = key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[: _KEY_CHARS + 1])
    return text if len(text) <= _KEY_CHARS else text[: _KEY_CHARS - 1] + "…"


def shown_command(words: Sequence[str], show_key: bool) -> str:
    """The command and how many arguments it had; with `show_key` the first of them, mostly a key."""
    head, rest = words[:1], list(words[1:])
    name = head[0].upper() if head and _WORD.fullmatch(head[0]) else "?"
    if name in _CONTAINERS and rest and _WORD.fullmatch(rest[0]):
        name = f"{name} {rest.pop(0).upper()}"
    first = f" {shown_key(rest.pop(0))}" if show_key and rest and " " not in name else ""
    left = len(rest)
    if rest and (cut := _CUT_OFF.fullmatch(rest[-1])):
        left += int(cut[1]) - 1
    return f"{name}{first}" + (f" ({left} arguments)" if left > 1 else " (1 argument)" if left else "")
