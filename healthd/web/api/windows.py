"""Maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse

from healthd.model.times import rfc3339
from healthd.model.windows import Maintenance
from healthd.web import quiet
from healthd.web.api import models, people_models
from healthd.web.api.paging import After, Place, piece, place, turned
from healthd.web.api.parameters import Limit, Named, TheDesk, require_token
from healthd.web.desk import Desk
from healthd.web.nearest import nearest
from healthd.web.problem import RequestError

router = APIRouter(tags=["maintenance windows"])
OVER = ("over", "called off")
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": models.Error}}


@router.get("/windows", summary="Maintenance windows", responses={200: {"model": people_models.WindowList}})
async def list_windows(
    desk: TheDesk,
    system: Annotated[str, Query(description="Of this system.")] = "",
    past: Annotated[bool, Query(description="Those that are over instead, newest first.")] = False,
    after: After = None,
    limit: Limit = 100,
) -> JSONResponse:
    """Open ones and those of the next two weeks, soonest first."""
    systems = desk.daemon.catalogue.systems
    if system and system not in systems:
        raise RequestError(404, f"no system {system[:60]!r}", nearest(system, systems))
    now, start = desk.now(), place(after)

    async def fetch(end: datetime | None, id_: str, most: int) -> Sequence[Maintenance]:
        return await desk.ask(desk.daemon.windows.recorded(most, system=system, before=end, before_id=id_))

    if past:
        start = start or Place(now)
        found, following = await turned(fetch, _place, start, limit, keep=lambda w: w.state(now) in OVER)
    else:
        known = [window for window in desk.daemon.windows.known if system in ("", window.system)]
        found, following = piece(known, _place, start, limit)
    return JSONResponse({"windows": [_as_json(desk, window) for window in found], "next": following})


def _place(window: Maintenance) -> Place:
    return Place(window.starts_at, window.id)


@router.get(
    "/windows/{window_id}", summary="One maintenance window",
    responses={200: {"model": people_models.Window}, **NOT_FOUND},
)  # fmt: skip
async def get_window(desk: TheDesk, window_id: str) -> JSONResponse:
    """To come, open, over or called off."""
    try:
        return JSONResponse(_as_json(desk, await desk.ask(desk.daemon.windows.find(window_id))))
    except KeyError:
        raise RequestError(404, f"no window {window_id[:60]!r}", "all of them are listed at /windows") from None


@router.post(
    "/windows",
    summary="Announce maintenance",
    dependencies=[Depends(require_token)],
    status_code=201,
    responses={
        201: {"model": people_models.Window}, 403: {"model": models.Error}, 409: {"model": models.Error}, **NOT_FOUND,
    },
)  # fmt: skip
async def add_window(desk: TheDesk, named: Named, request: people_models.WindowRequest) -> JSONResponse:
    """Nobody is told of the system's incidents meanwhile; they are recorded, and told if they outlast it. 409 for
    one that ends before it begins, is over already, or lasts longer than a month."""
    planned = (request.system, request.reason, named(request.actor))
    times = (request.starts_at, request.ends_at, request.duration)
    made = await quiet.add_window(desk, planned, times, request.notice, request.except_severities)
    return JSONResponse(_as_json(desk, made), 201, {"Location": f"/api/v1/windows/{made.id}"})


@router.post(
    "/windows/{window_id}/end",
    summary="End maintenance early, or call it off",
    dependencies=[Depends(require_token)],
    responses={
        200: {"model": people_models.Window}, 403: {"model": models.Error}, 409: {"model": models.Error}, **NOT_FOUND,
    },
)  # fmt: skip
async def end_window(
    desk: TheDesk, named: Named, window_id: str, request: models.RunRequest | None = None
) -> JSONResponse:
    """Of the catalogue's windows just this occurrence. 409 when it is over already."""
    actor = named(request.actor if request else "")
    return JSONResponse(_as_json(desk, await quiet.end_window(desk, window_id, actor)))


def _as_json(desk: Desk, window: Maintenance) -> dict[str, Any]:
    return {
        "id": window.id,
        "system": window.system,
        "name": window.name,
        "title": window.title,
        "description": window.description,
        "state": window.state(desk.now()),
        "starts_at": rfc3339(window.starts_at),
        "ends_at": rfc3339(window.ends_at),
        "notice": window.notice.total_seconds(),
        "author": window.author,
        "except_severities": list(window.except_severities),
        "except_checks": list(window.except_checks),
        "ended_by": window.ended_by,
    }
