"""Attestations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse

from healthd.model.attestations import Request
from healthd.model.times import rfc3339
from healthd.web import attesting
from healthd.web.api import models, people_models
from healthd.web.api.parameters import Before, Limit, Named, TheDesk, maybe_moment, one_of, require_token
from healthd.web.desk import Desk
from healthd.web.nearest import nearest
from healthd.web.security import RequestError
from healthd.web.words import maybe_rfc3339

router = APIRouter(tags=["attestations"])
REFUSALS: dict[int | str, dict[str, Any]] = {
    403: {"model": models.Error}, 404: {"model": models.Error}, 409: {"model": models.Error},
}  # fmt: skip
STATES = ("open", "due", "overdue", "closed", "given", "missed")


@router.get("/attestations", summary="Tasks people sign for", responses={200: {"model": people_models.AttestationList}})
async def list_attestations(
    *,
    desk: TheDesk,
    state: Annotated[
        str,
        Query(
            description="open (due or overdue), closed (given or missed), or one of these.",
            json_schema_extra=one_of(STATES),
        ),
    ] = "",
    system: Annotated[str, Query(description="Of this system.")] = "",
    check: Annotated[str, Query(description="Of this task: system/name.")] = "",
    before: Before = "",
    limit: Limit = 100,
) -> JSONResponse:
    """Without `state` those that are open, what is due first first; closed ones newest first."""
    if state and state not in STATES:
        raise RequestError(400, f"no state {state[:40]!r}", f"there are {', '.join(STATES)}")
    tasks = desk.daemon.attestations.tasks
    if check and check not in tasks:
        raise RequestError(404, f"no attestation {check[:80]!r}", nearest(check, tasks))
    now = desk.now()
    if state in ("closed", "given", "missed"):
        past = await desk.ask(desk.daemon.attestations.past(limit, check, maybe_moment(before, "before")))
        found = [r for r in past if state in ("closed", r.state(now))]
    else:
        found = [r for r in desk.daemon.attestations.open if state in ("", "open", r.state(now))]
    chosen = [r for r in found if system in ("", r.system) and check in ("", r.check_id)][:limit]
    return JSONResponse({"attestations": [_as_json(desk, request) for request in chosen]})


@router.get(
    "/attestations/{attestation}",
    summary="One request",
    responses={200: {"model": people_models.Attestation}, **REFUSALS},
)
async def get_attestation(desk: TheDesk, attestation: str) -> JSONResponse:
    """By its id, or by the name of what is asked for."""
    return JSONResponse(_as_json(desk, await attesting.find(desk, attestation)))


@router.post(
    "/attestations/{attestation}",
    summary="Sign for a task",
    dependencies=[Depends(require_token)],
    responses={200: {"model": people_models.Attestation}, **REFUSALS},
)
async def attest(
    desk: TheDesk, named: Named, attestation: str, request: people_models.AttestRequest | None = None
) -> JSONResponse:
    """By the request's id, or by the name of what is asked for where just one is open. 409 when nothing is."""
    return await _give(desk, named, attestation, request)


@router.post(
    "/attestations/{system}/{name}",
    summary="Sign for a task, by system and name",
    dependencies=[Depends(require_token)],
    responses={200: {"model": people_models.Attestation}, **REFUSALS},
)
async def attest_by_name(
    desk: TheDesk, named: Named, system: str, name: str, request: people_models.AttestRequest | None = None
) -> JSONResponse:
    """As by id."""
    return await _give(desk, named, f"{system}/{name}", request)


@router.delete(
    "/attestations/{attestation}",
    summary="Withdraw a signature",
    dependencies=[Depends(require_token)],
    responses={200: {"model": people_models.Attestation}, **REFUSALS},
)
async def withdraw(
    desk: TheDesk, named: Named, attestation: str, request: people_models.WithdrawRequest
) -> JSONResponse:
    """The task is open again. By the request's id; just of the newest request of a task."""
    taken = await attesting.take_back(desk, attestation, named(request.actor), request.reason)
    return JSONResponse(_as_json(desk, taken))


async def _give(
    desk: Desk, named: Callable[[str], str], name: str, request: people_models.AttestRequest | None
) -> JSONResponse:
    said = request or people_models.AttestRequest()
    given = await attesting.give(desk, name, named(said.actor), said.note, said.link)
    return JSONResponse(_as_json(desk, given))


def _as_json(desk: Desk, request: Request) -> dict[str, Any]:
    now = desk.now()
    state = request.state(now)
    late = state == "overdue" or request.was_late or request.overdue_since is not None
    return {
        "id": request.id,
        "check": request.check_id,
        "system": request.system,
        "title": request.title,
        "description": request.description,
        "state": state,
        "asked_at": rfc3339(request.asked_at),
        "due_by": rfc3339(request.due_by),
        "overdue_since": rfc3339(request.late_from) if late else None,
        "cadence": request.cadence,
        "incident": request.incident,
        "who": request.who,
        "reminded": request.reminded,
        "closed_at": maybe_rfc3339(request.closed_at),
        "given_by": request.given_by,
        "note": request.note,
        "link": request.link,
        "late": request.was_late,
        "dropped": request.dropped,
        "withdrawn": [dict(event) for event in request.withdrawn],
    }
