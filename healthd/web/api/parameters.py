"""Parameters that several operations take, and the refusal of those that none does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.routing import APIRoute
from pydantic.config import JsonDict
from starlette.requests import Request

from healthd.model.units import UnitError, parse_duration
from healthd.web.desk import Desk, desk_of
from healthd.web.moments import moment
from healthd.web.nearest import nearest
from healthd.web.security import RequestError

MOST = 500  # entries of one answer: more would hold up checks while they are written

Limit = Annotated[int, Query(ge=1, le=MOST, description="At most so many entries.")]
MOMENT: JsonDict = {"format": "date-time"}
LENGTH: JsonDict = {"pattern": "^[1-9][0-9]{0,3}[mhd]$"}


def one_of(words: Iterable[str]) -> dict[str, Any]:
    """For a parameter that takes one of these words, or none."""
    return {"enum": ["", *words]}


Since = Annotated[str, Query(description="From this moment on, RFC 3339.", json_schema_extra=MOMENT)]
Before = Annotated[
    str,
    Query(
        description="Before this moment, RFC 3339: the oldest entry's time gives the next page.",
        json_schema_extra=MOMENT,
    ),
]
TheDesk = Annotated[Desk, Depends(desk_of)]


async def _refuse_unknown(request: Request) -> None:
    """A misspelt filter must not look like an answer to it."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = {field.alias for field in route.dependant.query_params}
    for name in request.query_params:
        if name not in known:
            there_are = f"there are {', '.join(sorted(known))}" if known else "it takes none"
            raise RequestError(400, f"unknown parameter {name[:60]!r}", nearest(name, known) or there_are)


unknown_parameters: Any = Depends(_refuse_unknown)


def require_token(request: Request) -> None:
    """For operations that change something."""
    desk = desk_of(request)
    desk.gate.require_token(request, desk.now())


def _naming(request: Request) -> Callable[[str], str]:
    return lambda given: desk_of(request).gate.actor(request, given, "api")


Named = Annotated[Callable[[str], str], Depends(_naming)]  # of a name that was given: the one for the audit log


def maybe_moment(text: str, name: str) -> Any:
    """None for an empty text. Raises RequestError 400."""
    return moment(text, name) if text else None


def length(text: str, name: str) -> Any:
    """A duration such as 24h. Raises RequestError 400."""
    try:
        return parse_duration(text)
    except UnitError as error:
        raise RequestError(400, f"{name}: {error}") from None
