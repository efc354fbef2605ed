"""Reports of checklist runs, and availability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, PlainTextResponse, Response

from healthd.model.records import Record
from healthd.model.times import rfc3339
from healthd.report import Report, markdown, to_json
from healthd.web.api import models
from healthd.web.api.paging import After, Place, beginning, turned
from healthd.web.api.parameters import Before, Limit, TheDesk
from healthd.web.pages.reports import KIND, as_it_would_be, find, objectives_of

router = APIRouter(tags=["reports"])
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": models.Error}}
AS_TEXT: dict[str, Any] = {"content": {"text/markdown": {"schema": {"type": "string"}}}}
Format = Annotated[Literal["json", "markdown"], Query(description="`markdown` answers text.")]


@router.get("/reports", summary="Reports, the newest first", responses={200: {"model": models.ReportList}})
async def list_reports(
    *,
    desk: TheDesk,
    system: Annotated[str, Query(description="Of this system.")] = "",
    cadence: Annotated[str, Query(description="Of this cadence.")] = "",
    before: Before = None,
    after: After = None,
    limit: Limit = 100,
) -> JSONResponse:
    """Their results without their items."""

    async def fetch(end: datetime | None, id_: str, most: int) -> Sequence[Record]:
        asked = desk.daemon.store.records(KIND, system=system, name=cadence, before=end, before_id=id_, limit=most)
        return await desk.ask(asked)

    found, following = await turned(fetch, lambda r: Place(r.at, r.id), beginning(after, before), limit)
    return JSONResponse({"reports": [_entry(record) for record in found], "next": following})


@router.get(
    "/reports/preview",
    summary="The report of a checklist as it would be now",
    responses={200: {"model": models.ReportDetail, **AS_TEXT}, **NOT_FOUND},
)
async def preview_report(
    desk: TheDesk,
    system: Annotated[str, Query(description="Of this system.")],
    cadence: Annotated[str, Query(description="Of this calendar cadence.")],
    format: Format = "json",  # noqa: A002 - the parameter's name
) -> Response:
    """From the newest outcomes; nothing is run, kept or told."""
    return _answer(await as_it_would_be(desk, system, cadence), format)


@router.get(
    "/reports/{report_id}",
    summary="One report",
    responses={200: {"model": models.ReportDetail, **AS_TEXT}, **NOT_FOUND},
)
async def get_report(desk: TheDesk, report_id: str, format: Format = "json") -> Response:  # noqa: A002 - its name
    """With each item's values, limits and change since the report before."""
    return _answer(await find(desk, report_id), format)


@router.get(
    "/availability",
    summary="Availability and error budgets",
    responses={200: {"model": models.Availability}, **NOT_FOUND},
)
async def get_availability(desk: TheDesk, system: Annotated[str, Query(description="Of this system.")]) -> JSONResponse:
    """Shares of the runs that could look and were not critical, over 7, 30 and 90 days."""
    found = await objectives_of(desk, system)
    rows = [{**asdict(o), "ratios": {str(days): share for days, share in o.ratios}} for o in found]
    return JSONResponse({"system": system, "checks": rows})


def _entry(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "system": record.system,
        "cadence": record.name,
        "title": record.body.get("title", record.name),
        "due": rfc3339(record.at),
        "level": record.body.get("level", "unknown"),
        "counts": dict(record.body.get("counts", {})),
    }


def _answer(report: Report, form: str) -> Response:
    if form == "markdown":
        return PlainTextResponse(markdown(report), media_type="text/markdown")
    return JSONResponse(to_json(report))
