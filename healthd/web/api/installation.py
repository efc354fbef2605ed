"""The daemon itself: whether it is well, what comes next, what waits to be told, who changed what."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse

from healthd import __version__
from healthd.model.times import rfc3339
from healthd.web.api import models
from healthd.web.api.parameters import LENGTH, Limit, TheDesk, length
from healthd.web.coming import coming
from healthd.web.standing import count, overall, statuses
from healthd.web.words import maybe_rfc3339

router = APIRouter(tags=["installation"])
MAX_WORD = 300
NAMED = 100  # ids of one row of the schedule


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
    until: Annotated[str, Query(description="How far ahead: 12h, 7d.", json_schema_extra=LENGTH)] = "7d",
    system: Annotated[str, Query(description="Of this system.")] = "",
    limit: Limit = 200,
) -> JSONResponse:
    """Soonest first; checks due at one moment by one rule are one entry. Checks at intervals are left out."""
    now = desk.now()
    ahead = now + min(length(until, "until"), length("3660d", "until"))
    runs = await asyncio.to_thread(coming, desk.daemon.catalogue, now, ahead, limit, system)
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
            ]
        }
    )


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
    before: Annotated[int, Query(ge=0, le=2**53, description="The number of a line: those before it.")] = 0,
    limit: Limit = 100,
) -> JSONResponse:
    """Newest first. The next page is before the last line's number."""
    wanted = desk.daemon.store.audits(limit=limit, before=before, actor=actor, action=action, text=q)
    entries = [
        {
            "number": e.seq,
            "at": rfc3339(e.at),
            "actor": e.actor,
            "action": e.action,
            "target": e.target,
            "detail": e.detail,
        }
        for e in await desk.ask(wanted)
    ]
    return JSONResponse({"entries": entries})
