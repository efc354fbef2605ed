"""The daemon itself: whether it is well, what comes next, what waits to be told, who changed what."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse, Response

from healthd import __version__
from healthd.model.times import rfc3339
from healthd.model.units import parse_duration
from healthd.web.api import models
from healthd.web.api.paging import MICROSECOND, After, AfterNumber, Place, place
from healthd.web.api.parameters import Limit, Named, TheDesk, require_token
from healthd.web.api.written import Duration
from healthd.web.coming import Coming, coming
from healthd.web.lifecycle import read_again
from healthd.web.standing import count, overall, statuses
from healthd.web.words import maybe_rfc3339

router = APIRouter(tags=["installation"])
MAX_WORD = 300
NAMED = 100  # ids of one row of the schedule
FURTHEST = timedelta(days=3660)
AT_ONCE = 10_000  # runs due at one moment


@router.get("/status", summary="How healthd itself and all it watches stand", responses={200: {"model": models.Status}})
async def get_status(desk: TheDesk) -> JSONResponse:
    """What the top of the overview shows."""
    daemon = desk.daemon
    counts = count(statuses(daemon, daemon.catalogue.watched_checks).values())
    reasons = daemon.unready()
    return JSONResponse(
        {
            "version": __version__,
            "started_at": rfc3339(daemon.started_at),
            "ready": not reasons,
            "reasons": reasons,
            "reload_problem": daemon.reload_problem,
            "catalogue": daemon.catalogue.digest,
            "warnings": list(daemon.catalogue.warnings),
            "status": overall(counts).value,
            "counts": {status.value: number for status, number in counts.items()},
            "incidents": len(daemon.incidents),
        }
    )


@router.get("/schedule", summary="The coming calendar runs", responses={200: {"model": models.Schedule}})
async def get_schedule(
    desk: TheDesk,
    until: Annotated[Duration, Query(description="How far ahead: 12h, 7d.")] = "7d",
    system: Annotated[str, Query(description="Of this system.")] = "",
    after: After = None,
    limit: Limit = 200,
) -> JSONResponse:
    """Soonest first; checks due at one moment by one rule are one entry. Checks at intervals are left out."""
    now = desk.now()
    ahead = now + min(parse_duration(until), FURTHEST)
    start, given = _start(after)
    first = max(now, start - MICROSECOND) if start else now
    found = await asyncio.to_thread(coming, desk.daemon.catalogue, first, ahead, given + limit + 1, system)
    runs = found[given:][:limit]
    following = _after(found, given + limit) if len(found) > given + limit else ""
    return JSONResponse(
        {
            "runs": [
                {
                    "at": rfc3339(run.at),
                    "system": run.system,
                    "cadence": run.cadence,
                    "rule": run.rule,
                    "count": len(run.checks),
                    "checks": [f"{run.system}/{name}" for name in run.checks[:NAMED]],
                }
                for run in runs
            ],
            "next": following,
        }
    )


def _start(after: str | None) -> tuple[datetime | None, int]:
    """The moment at which a page begins, and how many of the runs due then were given before."""
    known = place(after)
    if known is None:
        return None, 0
    return known.at, min(int(known.id), AT_ONCE) if known.id.isdecimal() else 0


def _after(found: Sequence[Coming], count: int) -> str:
    last = found[count - 1].at
    return str(Place(last, str(sum(run.at == last for run in found[:count]))))


@router.get("/outbox", summary="Notifications that wait to be accepted", responses={200: {"model": models.Outbox}})
async def get_outbox(desk: TheDesk) -> JSONResponse:
    """By channel; those with nothing waiting are left out."""
    waiting = await desk.ask(desk.daemon.store.outbox())
    channels = [{"channel": w.channel, "pending": w.pending, "oldest": maybe_rfc3339(w.oldest)} for w in waiting]
    return JSONResponse({"channels": channels})


@router.get("/audit", summary="Who changed what", responses={200: {"model": models.AuditList}})
async def get_audit(
    desk: TheDesk,
    *,
    actor: Annotated[str, Query(description="Just this one's.", max_length=MAX_WORD)] = "",
    action: Annotated[str, Query(description="Just these: run, acknowledge, sign in.", max_length=MAX_WORD)] = "",
    q: Annotated[str, Query(description="Stands anywhere in the line.", max_length=MAX_WORD)] = "",
    after: AfterNumber = None,
    limit: Limit = 100,
) -> JSONResponse:
    """Newest first."""
    asked = desk.daemon.store.audits(limit=limit + 1, before=int(after or 0), actor=actor, action=action, text=q)
    found = await desk.ask(asked)
    following = str(found[limit - 1].seq) if len(found) > limit else ""
    entries = [
        {
            "number": e.seq,
            "at": rfc3339(e.at),
            "actor": e.actor,
            "action": e.action,
            "target": e.target,
            "detail": e.detail,
        }
        for e in found[:limit]
    ]
    return JSONResponse({"entries": entries, "next": following})


@router.post(
    "/reload",
    summary="Read the catalogue again",
    dependencies=[Depends(require_token)],
    responses={200: {"model": models.Reloaded}, 403: {"model": models.Error}, 422: {"model": models.CatalogueError}},
)
async def reload(desk: TheDesk, named: Named, request: models.RunRequest | None = None) -> Response:
    """All of it or nothing: 422 with every problem, and the catalogue before stays in force. `POST /-/reload` is the
    same."""
    return await read_again(desk, named(request.actor if request else ""))
