"""Regular expressions as parameters."""

from __future__ import annotations

import re


def regular_expression(text: str) -> str:
    """`text` itself if it is one. Raises ValueError saying what is wrong with it."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text
