"""Silences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse

from healthd.model.silences import Silence
from healthd.model.times import rfc3339
from healthd.web import quiet
from healthd.web.api import models, people_models
from healthd.web.api.paging import After, Place, beginning, piece, turned
from healthd.web.api.parameters import Before, Limit, Named, TheDesk, one_of, require_token
from healthd.web.desk import Desk
from healthd.web.problem import RequestError

router = APIRouter(tags=["silences"])
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": models.Error}}
NAMED = 100
STATES = ("pending", "active", "expired")


@router.get("/silences", summary="Silences", responses={200: {"model": people_models.SilenceList}})
async def list_silences(
    *,
    desk: TheDesk,
    state: Annotated[
        str,
        Query(
            description="pending, active or expired; default: those that are not over.",
            json_schema_extra=one_of(STATES),
        ),
    ] = "",
    before: Before = None,
    after: After = None,
    limit: Limit = 100,
) -> JSONResponse:
    """Newest first. Those that are over are kept as long as resolved incidents."""
    if state and state not in STATES:
        raise RequestError(400, f"no state {state[:40]!r}", f"there are {', '.join(STATES)}")
    now, start = desk.now(), beginning(after, before)

    async def fetch(end: datetime | None, id_: str, most: int) -> Sequence[Silence]:
        return await desk.ask(desk.daemon.silences.recorded(most, before=end, before_id=id_))

    if state == "expired":
        found, following = await turned(fetch, _place, start, limit, keep=lambda s: s.state(now) == state)
    else:
        known = [s for s in desk.daemon.silences.known if state in ("", s.state(now))]
        found, following = piece(known, _place, start, limit, newest_first=True)
    return JSONResponse({"silences": [_as_json(desk, silence) for silence in found], "next": following})


def _place(silence: Silence) -> Place:
    return Place(silence.created_at, silence.id)


@router.get(
    "/silences/{silence_id}",
    summary="One silence",
    responses={200: {"model": people_models.Silence}, **NOT_FOUND},
)
async def get_silence(desk: TheDesk, silence_id: str) -> JSONResponse:
    """Over or not."""
    try:
        return JSONResponse(_as_json(desk, await desk.ask(desk.daemon.silences.find(silence_id))))
    except KeyError:
        raise RequestError(404, f"no silence {silence_id[:60]!r}") from None


@router.post(
    "/silences",
    summary="Keep incidents quiet for a while",
    dependencies=[Depends(require_token)],
    status_code=201,
    responses={201: {"model": people_models.Silence}, 403: {"model": models.Error}, 409: {"model": models.Error}},
)
async def add_silence(desk: TheDesk, named: Named, request: people_models.SilenceRequest) -> JSONResponse:
    """Incidents that it is about open, are recorded and shown; nobody is told until it ends. 409 for one that ends
    before it begins, is over already, or lasts longer than a year."""
    author = named(request.actor)
    times = (request.starts_at, request.ends_at, request.duration)
    made = await quiet.silence(desk, request.matchers, author, request.reason, times)
    return JSONResponse(_as_json(desk, made), 201, {"Location": f"/api/v1/silences/{made.id}"})


@router.post(
    "/silences/{silence_id}/end",
    summary="End a silence",
    dependencies=[Depends(require_token)],
    responses={
        200: {"model": people_models.Silence}, 403: {"model": models.Error}, 409: {"model": models.Error}, **NOT_FOUND,
    },
)  # fmt: skip
async def end_silence(
    desk: TheDesk, named: Named, silence_id: str, request: models.RunRequest | None = None
) -> JSONResponse:
    """What is still open is told within a second or two. 409 when it is over already."""
    ended = await quiet.expire(desk, silence_id, named(request.actor if request else ""))
    return JSONResponse(_as_json(desk, ended))


def _as_json(desk: Desk, silence: Silence) -> dict[str, Any]:
    state = silence.state(desk.now())
    return {
        "id": silence.id,
        "state": state,
        "matchers": [{"name": m.name, "op": m.op, "value": m.value} for m in silence.matchers],
        "author": silence.author,
        "reason": silence.reason,
        "created_at": rfc3339(silence.created_at),
        "starts_at": rfc3339(silence.starts_at),
        "ends_at": rfc3339(silence.ends_at),
        "ended_by": silence.ended_by,
        "incidents": list(desk.daemon.silences.about(silence)[:NAMED]) if state != "expired" else [],
    }
