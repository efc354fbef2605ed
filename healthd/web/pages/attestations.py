"""What people are asked to do and to sign for."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from healthd.web import attesting
from healthd.web.body import form
from healthd.web.desk import desk_of
from healthd.web.pages.check import next_runs
from healthd.web.pages.incidents import MAX_NOTE
from healthd.web.problem import MENDABLE, RequestError
from healthd.web.views import UTC, page

PAST = 50


async def index(request: Request) -> Response:
    """`/attestations`: those that wait, those to come, and those that are over."""
    desk = desk_of(request)
    tasks, now = desk.daemon.attestations.tasks, desk.now()
    coming = sorted((runs[0], check.id) for check in tasks.values() if (runs := next_runs(check, now)))
    return await page(
        request, "attestations.html", requests=desk.daemon.attestations.open, tasks=tasks, coming=coming[:PAST],
        past=await desk.ask(desk.daemon.attestations.past(PAST)), systems=desk.daemon.catalogue.systems,
        max_note=MAX_NOTE,
    )  # fmt: skip


async def show(request: Request) -> Response:
    """`/attestations/{id}`: one, to be signed for with one click."""
    return await _show(request, {})


async def _show(request: Request, fields: Mapping[str, str], failed: RequestError | None = None) -> Response:
    """With the form as it was filled in, and why it was refused."""
    desk = desk_of(request)
    found = await attesting.find(desk, request.path_params["attestation"])
    system = desk.daemon.catalogue.systems.get(found.system)
    return await page(
        request, "attestation.html", failed.status if failed else 200, fields=fields, failed=failed, asked=found,
        zone=system.zone if system else UTC, system=system, task=desk.daemon.attestations.tasks.get(found.check_id),
        max_note=MAX_NOTE, past=await desk.ask(desk.daemon.attestations.past(10, found.check_id)),
    )  # fmt: skip


async def give(request: Request) -> Response:
    """`POST /attestations/{id}` from the page's form."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    name = request.path_params["attestation"]
    try:
        given = await attesting.give(desk, name, session.name, fields.get("note", ""), fields.get("link", ""))
    except RequestError as failed:
        if failed.status not in MENDABLE:
            raise
        return await _show(request, fields, failed)
    return RedirectResponse(f"/attestations/{given.id}", 303)


async def withdraw(request: Request) -> Response:
    """`POST /attestations/{id}/withdraw` from the page's form."""
    desk = desk_of(request)
    fields = await form(request)
    session = desk.gate.require_form(request, fields.get("form_key", ""), desk.now())
    taken = await attesting.take_back(desk, request.path_params["attestation"], session.name, fields.get("reason", ""))
    return RedirectResponse(f"/attestations/{taken.id}", 303)


ROUTES = [
    Route("/attestations", index),
    Route("/attestations/{attestation}", show),
    Route("/attestations/{attestation}", give, methods=["POST"]),
    Route("/attestations/{attestation}/withdraw", withdraw, methods=["POST"]),
]
