"""Parameters that several operations take, and the refusal of those that none does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.routing import APIRoute
from starlette.requests import Request

from healthd.web.api.written import Moment
from healthd.web.desk import Desk, desk_of
from healthd.web.moments import moment
from healthd.web.nearest import nearest
from healthd.web.problem import RequestError

MOST = 500  # entries of one answer: more would hold up checks while they are written

Limit = Annotated[int, Query(ge=1, le=MOST, description="At most so many entries.")]


def one_of(words: Iterable[str]) -> dict[str, Any]:
    """For a parameter that takes one of these words, or none."""
    return {"enum": ["", *words]}


Since = Annotated[Moment | None, Query(description="From this moment on, RFC 3339.")]
Before = Annotated[Moment | None, Query(description="Before this moment, RFC 3339.")]
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


def maybe_moment(text: str | None, name: str) -> datetime | None:
    """None for none. Raises RequestError 400."""
    return None if text is None else moment(text, name)
