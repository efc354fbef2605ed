"""Systems, checks, what they saw and what they measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse

from healthd.model.outcomes import Outcome
from healthd.model.times import rfc3339
from healthd.web.api import models, serialise
from healthd.web.api.paging import After, Place, beginning, turned
from healthd.web.api.parameters import Before, Limit, Named, Since, TheDesk, maybe_moment, one_of, require_token
from healthd.web.api.written import Moment
from healthd.web.definition import definition
from healthd.web.history import measures_of
from healthd.web.listing import STATUS_WORDS, Filter, chosen
from healthd.web.membership import open_incidents
from healthd.web.moments import shifted
from healthd.web.nearest import nearest
from healthd.web.pages.check import next_runs
from healthd.web.problem import RequestError
from healthd.web.standing import count, overall, standing, standings, statuses
from healthd.web.words import schedule_words

router = APIRouter(tags=["checks"])
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": models.Error}}
DAY = timedelta(days=1)


@router.get("/systems", summary="Systems with their checks by status", responses={200: {"model": models.SystemList}})
async def list_systems(desk: TheDesk) -> JSONResponse:
    """In the catalogue's order."""
    daemon = desk.daemon
    found = statuses(daemon, daemon.catalogue.watched_checks)
    systems = []
    for system in daemon.catalogue.watched:
        counts = count(found[check.id] for check in system.checks)
        systems.append({
            "name": system.name,
            "title": system.title,
            "timezone": system.zone.key,
            "status": overall(counts).value,
            "counts": {status.value: number for status, number in counts.items()},
            "incidents": len(open_incidents(daemon, system=system.name)),
            "cadences": {cadence.name: cadence.text for cadence in system.cadences.values()},
        })  # fmt: skip
    return JSONResponse({"systems": systems})


@router.get("/checks", summary="Checks and how they stand", responses={200: {"model": models.CheckList}})
async def list_checks(
    *,
    desk: TheDesk,
    system: Annotated[str, Query(description="Of this system.")] = "",
    status: Annotated[
        str,
        Query(
            description="In this status, or `problem`: critical, warning or unknown.",
            json_schema_extra=one_of(STATUS_WORDS),
        ),
    ] = "",
    cadence: Annotated[str, Query(description="Of this cadence.")] = "",
    q: Annotated[str, Query(max_length=100, description="With this in their id or title.")] = "",
    after: Annotated[str, Query(description="After this id: the `next` of the page before.")] = "",
    limit: Limit = 200,
) -> JSONResponse:
    """By id."""
    catalogue = desk.daemon.catalogue
    if status and status not in STATUS_WORDS:
        raise RequestError(400, f"no status {status[:40]!r}", f"there are {', '.join(STATUS_WORDS)}")
    if system and system not in catalogue.systems:
        raise RequestError(404, f"no system {system[:60]!r}", nearest(system, catalogue.systems))
    matching = sorted(chosen(desk.daemon, Filter(status, system, cadence, q)), key=lambda check: check.id)
    rest = [check for check in matching if check.id > after]
    rows = standings(desk.daemon, rest[:limit])
    following = rest[limit - 1].id if len(rest) > limit else ""
    return JSONResponse(
        {"checks": [serialise.check_summary(row) for row in rows], "total": len(matching), "next": following}
    )


@router.get(
    "/checks/{system}/{name}",
    summary="One check, all of it",
    responses={200: {"model": models.CheckDetail}, **NOT_FOUND},
)
async def get_check(desk: TheDesk, system: str, name: str) -> JSONResponse:
    """Its definition, how it stands, and its last outcome."""
    check = desk.check(system, name)
    row = standing(desk.daemon, check)
    home = desk.daemon.catalogue.systems[check.system]
    return JSONResponse(
        {
            **serialise.check_summary(row),
            **serialise.definition(check),
            "parameters": dict(definition(check, desk.daemon)),
            "schedule": schedule_words(check, home),
            "next_calendar_runs": [rfc3339(at) for at in next_runs(check, desk.now())],
            "timezone": home.zone.key,
            "last_outcome": serialise.outcome(row.outcome) if row.outcome else None,
        }
    )


@router.get(
    "/checks/{system}/{name}/outcomes",
    summary="What its runs saw",
    responses={200: {"model": models.OutcomeList}, **NOT_FOUND},
)
async def list_outcomes(
    *,
    desk: TheDesk,
    system: str,
    name: str,
    since: Since = None,
    before: Before = None,
    after: After = None,
    limit: Limit = 100,
) -> JSONResponse:
    """Newest first."""
    check, start = desk.check(system, name), maybe_moment(since, "since")

    async def fetch(end: datetime | None, _: str, most: int) -> Sequence[Outcome]:
        return await desk.ask(desk.daemon.store.outcomes(check.id, since=start, before=end, limit=most))

    found, following = await turned(fetch, lambda o: Place(o.started), beginning(after, before), limit)
    return JSONResponse({"outcomes": [serialise.outcome(outcome) for outcome in found], "next": following})


@router.get(
    "/checks/{system}/{name}/history",
    summary="One measure over time",
    responses={200: {"model": models.History}, **NOT_FOUND},
)
async def get_history(
    *,
    desk: TheDesk,
    system: str,
    name: str,
    measure: Annotated[str, Query(min_length=1, description="Which measure.")],
    series: Annotated[str, Query(description="Which series; empty: the worst of each run.")] = "",
    since: Annotated[Moment | None, Query(description="RFC 3339; default: a day before `until`.")] = None,
    until: Annotated[Moment | None, Query(description="RFC 3339; default: now.")] = None,
    points: Annotated[int, Query(ge=1, le=2000, description="About so many slots of equal width.")] = 300,
) -> JSONResponse:
    """Slots without a value are left out: all of them where `since` is not before `until`. Words have no history."""
    check = desk.check(system, name)
    end = maybe_moment(until, "until") or desk.now()
    start = maybe_moment(since, "since") or shifted(end, -DAY)
    known = {m.name: m for m in measures_of(check, desk.daemon.latest.get(check.id))}
    asked = desk.daemon.store.history
    found = (
        await desk.ask(asked(check.id, measure, since=start, until=end, points=points, series=series))
        if start < end
        else []
    )
    if not found and measure not in known:
        raise RequestError(404, f"{check.id} has no measure {measure[:60]!r}", nearest(measure, known))
    unit = known[measure].unit if measure in known else None
    slots = [{"at": rfc3339(p.at), "minimum": p.minimum, "average": p.average, "maximum": p.maximum} for p in found]
    return JSONResponse(
        {
            "check": check.id, "measure": measure, "series": series, "unit": unit.value if unit else "",
            "since": rfc3339(start), "until": rfc3339(end), "points": slots,
        }
    )  # fmt: skip


@router.post(
    "/checks/{system}/{name}/run",
    summary="Run it now",
    dependencies=[Depends(require_token)],
    responses={200: {"model": models.Outcome}, 403: {"model": models.Error}, **NOT_FOUND},
)
async def run_check(
    desk: TheDesk, named: Named, system: str, name: str, request: models.RunRequest | None = None
) -> JSONResponse:
    """Answers when the run has ended and is recorded, with what it saw. A run under way is waited for instead."""
    check = desk.check(system, name)
    desk.require_ready()
    actor = named(request.actor if request else "")
    return JSONResponse(serialise.outcome(await desk.run(check, actor)))
