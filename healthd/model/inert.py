"""Text of production's within a text of ours: nothing in it may become markup, or turn around what stands beside it."""

from __future__ import annotations

import re

# a terminal's escapes, control characters, what is no character, and what turns the direction of writing
UNPRINTABLE = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def inert(text: str) -> str:
    """On one line of Markdown: links, pictures and tags are taken apart by a space, so that they are still read."""
    return _TAG.sub("< ", " ".join(UNPRINTABLE.sub("", text).split()).replace("](", "] (").replace("][", "] ["))
