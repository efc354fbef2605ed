"""Times as people type and read them, for commands that ask the daemon."""

from __future__ import annotations

from datetime import UTC, datetime

from healthd.cli.common import Refused
from healthd.model.units import UnitError, parse_duration


def local(text: str | None) -> str:
    """A time of the API for people: 2026-01-02 15:04 UTC; "" for none."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if text else ""


def moment(text: str, option: str) -> str:
    """A time as a person types it (ISO 8601; without an offset it is UTC), for the API; "" for "". Raises Refused."""
    if not text:
        return ""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{option}: {text!r} is not a time; expected something like 2026-03-29T22:00Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def length(text: str, option: str) -> str:
    """A duration as a person types it, for the API; "" for "". Raises Refused."""
    try:
        parse_duration(text or "0")
    except UnitError as error:
        raise Refused(f"{option}: {error}") from None
    return text
