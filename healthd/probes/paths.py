"""File names as people may see them: on Linux they are bytes, which need not be text."""

from __future__ import annotations


def shown(path: str) -> str:
    """The path with bytes that are no UTF-8 and control characters made visible, so that any output can take it."""
    text = path.encode(errors="surrogateescape").decode(errors="replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
