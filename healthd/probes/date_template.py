"""Dates in names: backups/{date:%Y-%m-%d}/ is today's folder, {date-1d:%Y%m%d} was yesterday's."""

from __future__ import annotations

import re
from datetime import datetime

from healthd.model.units import UnitError, parse_duration

__all__ = ["DATE", "check_dates", "fill_dates"]

DATE = re.compile(r"\{date(?:(?P<sign>[+-])(?P<shift>[^:{}]+))?:(?P<format>[^{}]+)\}")


def check_dates(text: str) -> str:
    """The text itself. Raises ValueError when a shift is no duration or a brace is left that holds no date."""
    for part in DATE.finditer(text):
        try:
            parse_duration((part["shift"] or "0s").strip())
        except UnitError as error:
            raise ValueError(f"{part[0]}: {error}") from None
    if re.search(r"[{}]", DATE.sub("", text)):
        raise ValueError(f"{text!r}: braces hold a date, as in {{date:%Y-%m-%d}} or {{date-1d:%Y%m%d}}")
    return text


def fill_dates(text: str, local_now: datetime) -> str:
    """The text with its dates put in. `local_now` is in the system's zone."""
    return DATE.sub(lambda part: _date(part, local_now), text)


def _date(part: re.Match[str], local_now: datetime) -> str:
    shift = parse_duration((part["shift"] or "0s").strip())
    # by the wall clock: a day before noon is noon, also over a daylight-saving change
    moved = local_now - shift if part["sign"] == "-" else local_now + shift
    return moved.strftime(part["format"])
