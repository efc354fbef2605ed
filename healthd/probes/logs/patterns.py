"""Regular expressions for the lines of logs, as parameters."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from healthd.probes.logs.syntax import has_wide_set


def compiled(pattern: str) -> re.Pattern[bytes]:
    """A pattern for lines: ^ and $ stand for the ends of each. Raises re.error."""
    return re.compile(pattern.encode(), re.MULTILINE)


def _bytes_pattern(text: str) -> str:
    """The pattern, if it can be looked for in bytes. Raises ValueError."""
    try:
        regex = compiled(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    if not text.isascii() and has_wide_set(regex.pattern):
        raise ValueError(f"{text!r}: in [...] only ASCII is understood; write (?:ä|ö) instead of [äö]")
    return text


LinePattern = Annotated[str, AfterValidator(_bytes_pattern)]
