"""Times as programs and addresses write them."""

from __future__ import annotations

from datetime import UTC, datetime

from healthd.web.security import RequestError


def moment(text: str, name: str) -> datetime:
    """An RFC 3339 time; without an offset it is UTC. Raises RequestError 400 that names the parameter."""
    try:
        at = datetime.fromisoformat(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text else text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise RequestError(400, f"{name}: {text[:60]!r} is not a time", "write it like 2026-01-02T15:04:05Z") from None
