"""Attestations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse

from healthd.model.attestations import Request
from healthd.model.times import rfc3339
from healthd.web import attesting
from healthd.web.api import models, people_models
from healthd.web.api.paging import After, Place, beginning, piece, place, turned
from healthd.web.api.parameters import Before, Limit, Named, TheDesk, one_of, require_token
from healthd.web.desk import Desk
from healthd.web.nearest import nearest
from healthd.web.problem import RequestError
from healthd.web.words import maybe_rfc3339

router = APIRouter(tags=["attestations"])
REFUSALS: dict[int | str, dict[str, Any]] = {
    403: {"model": models.Error}, 404: {"model": models.Error}, 409: {"model": models.Error},
}  # fmt: skip
OPEN = ("", "open", "due", "overdue")
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
    before: Before = None,
    after: After = None,
    limit: Limit = 100,
) -> JSONResponse:
    """Without `state` those that are open, what is due first first; closed ones newest first."""
    if state and state not in STATES:
        raise RequestError(400, f"no state {state[:40]!r}", f"there are {', '.join(STATES)}")
    tasks = desk.daemon.attestations.tasks
    if check and check not in tasks:
        raise RequestError(404, f"no attestation {check[:80]!r}", nearest(check, tasks))
    now = desk.now()

    async def fetch(end: datetime | None, id_: str, most: int) -> Sequence[Request]:
        return await desk.ask(desk.daemon.attestations.recorded(most, of=check or system, before=end, before_id=id_))

    def is_wanted(request: Request) -> bool:
        asked_for = system in ("", request.system) and check in ("", request.check_id)
        return asked_for and request.is_open is (state in OPEN) and state in ("", "open", "closed", request.state(now))

    if state in OPEN:
        wanted = filter(is_wanted, desk.daemon.attestations.open)
        found, following = piece(wanted, lambda r: Place(r.late_from, r.id), place(after), limit)
    else:
        start = beginning(after, before)
        found, following = await turned(fetch, lambda r: Place(r.asked_at, r.id), start, limit, keep=is_wanted)
    return JSONResponse({"attestations": [_as_json(desk, request) for request in found], "next": following})


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
    "/attestations/{attestation}/withdraw",
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
