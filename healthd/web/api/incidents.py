"""Incidents and their acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse, PlainTextResponse

from healthd.model.catalogue import System
from healthd.model.escalation import Climb
from healthd.model.incidents import Incident
from healthd.web.api import models, serialise
from healthd.web.api.paging import After, AfterNumber, Place, beginning, piece, turned
from healthd.web.api.parameters import Before, Limit, Named, TheDesk, require_token
from healthd.web.membership import open_incidents
from healthd.web.pages.incidents import find, take
from healthd.web.problem import RequestError
from healthd.web.words import maybe_rfc3339

router = APIRouter(tags=["incidents"])


class Markdown(PlainTextResponse):
    """Of people, for people."""

    media_type = "text/markdown"


NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": models.Error}}


@router.get("/incidents", summary="Incidents", responses={200: {"model": models.IncidentList}})
async def list_incidents(
    *,
    desk: TheDesk,
    open: Annotated[bool | None, Query(description="true: only open ones; false: only those that are over.")] = None,  # noqa: A002 - the parameter's name
    system: Annotated[str, Query(description="In which this system has a part.")] = "",
    check: Annotated[str, Query(description="In which this check has a part: system/name.")] = "",
    before: Before = None,
    after: After = None,
    limit: Limit = 100,
) -> JSONResponse:
    """Newest first. Open ones are given without asking the database."""
    start = beginning(after, before)

    async def fetch(end: datetime | None, id_: str, most: int) -> Sequence[Incident]:
        asked = desk.daemon.store.incidents(system=system, check_id=check, before=end, before_id=id_, limit=most)
        return await desk.ask(asked)

    if open:
        of_it = open_incidents(desk.daemon, system=system, check=check)
        found, following = piece(of_it, _place, start, limit, newest_first=True)
    else:
        found, following = await turned(fetch, _place, start, limit, keep=lambda i: open is None or not i.is_open)
    return JSONResponse({"incidents": [serialise.incident(i) for i in found], "next": following})


def _place(incident: Incident) -> Place:
    return Place(incident.opened_at, incident.id)


@router.get(
    "/incidents/{incident_id}",
    summary="One incident with its timeline",
    responses={200: {"model": models.IncidentDetail}, **NOT_FOUND},
)
async def get_incident(desk: TheDesk, incident_id: str) -> JSONResponse:
    """Open or over."""
    return JSONResponse(await _detail(desk, await find(desk, incident_id)))


@router.get(
    "/incidents/{incident_id}/members",
    summary="The checks of an incident, with what was seen of each",
    responses={200: {"model": models.MemberList}, **NOT_FOUND},
)
async def list_members(
    desk: TheDesk,
    incident_id: str,
    after: AfterNumber = None,
    limit: Limit = 100,
) -> JSONResponse:
    """In the order they joined. Values and evidence are those of when a check joined, or got worse."""
    found, passed = await find(desk, incident_id), int(after or 0)
    members = await desk.ask(desk.daemon.store.members(found.id, offset=passed, limit=limit + 1))
    following = str(passed + limit) if len(members) > limit else ""
    shown = [serialise.member(m) for m in members[:limit]]
    return JSONResponse({"total": found.joined, "members": shown, "next": following})


@router.get("/incidents/{incident_id}/message", summary="What was last told of an incident", responses={**NOT_FOUND})
async def get_message(desk: TheDesk, incident_id: str) -> JSONResponse:
    """The body of a message, as the signed webhook sends it and templates are given it. 404 while nothing was told."""
    found = await find(desk, incident_id)
    if not (body := found.details.get("body")):
        raise RequestError(404, f"nothing was told of {found.id} yet")
    return JSONResponse(dict(body))


@router.get(
    "/incidents/{incident_id}/postmortem",
    summary="A post-mortem of an incident, begun",
    response_class=Markdown,
    responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}, **NOT_FOUND},
)
async def get_postmortem(desk: TheDesk, incident_id: str) -> Markdown:
    """Markdown: times, timeline and evidence filled in, and room for what only people know. As it is now for one that
    is still open. 404 also when its system is no longer in the catalogue."""
    found = await find(desk, incident_id)
    try:
        text = await desk.ask(desk.daemon.postmortem(found.id))
    except KeyError:
        raise RequestError(404, f"the system {found.system!r} is no longer in the catalogue") from None
    return Markdown(text)


@router.post(
    "/incidents/{incident_id}/acknowledge",
    summary="Mark an open incident as somebody's",
    dependencies=[Depends(require_token)],
    responses={
        200: {"model": models.IncidentDetail}, 403: {"model": models.Error}, 409: {"model": models.Error}, **NOT_FOUND,
    },
)  # fmt: skip
async def acknowledge(
    desk: TheDesk, named: Named, incident_id: str, request: models.AcknowledgeRequest | None = None
) -> JSONResponse:
    """409 when it is over. Acknowledging again puts the newer name on it."""
    actor = named(request.actor if request else "")
    taken = await take(desk, incident_id, actor, request.note if request else "")
    return JSONResponse(await _detail(desk, taken))


async def _detail(desk: Any, found: Incident) -> dict[str, Any]:
    timeline = await desk.ask(desk.daemon.store.timeline(found.id))
    return {
        **serialise.incident(found),
        "timeline": [serialise.entry(entry) for entry in timeline],
        "escalation": _climb(desk.daemon.climb(found)),
        "steps": _steps(desk.daemon.catalogue.systems.get(found.system), found.playbook),
        "diagnosis": found.details.get("diagnosis"),
        "channels": list(found.details.get("channels", ())),
    }


def _steps(system: System | None, name: str) -> list[dict[str, str]]:
    playbook = system.playbooks.get(name) if system else None
    if playbook is None:
        return []
    steps = (*playbook.diagnostics, *playbook.remediation)
    return [{"title": step.title, "when": step.when, "command": step.command} for step in steps]


def _climb(climb: Climb) -> dict[str, Any]:
    return {
        "told": list(climb.told), "next": climb.next, "who": climb.who, "until": climb.until,
        "at": maybe_rfc3339(climb.at), "respond_by": maybe_rfc3339(climb.respond_by),
    }  # fmt: skip
