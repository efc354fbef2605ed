"""A time zone as probes are told it: by its name."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

__all__ = ["ZoneName"]


def _known(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone: expected something like Europe/Berlin or UTC") from None
    return name


ZoneName = Annotated[str, AfterValidator(_known)]
