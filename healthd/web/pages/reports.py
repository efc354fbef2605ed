"""Reports of checklist runs, and how available everything was."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from healthd.model.records import Record
from healthd.report import Report, from_json, markdown
from healthd.report.svg import proportions, sparkline
from healthd.web.desk import Desk, desk_of
from healthd.web.moments import moment
from healthd.web.nearest import nearest, require_system
from healthd.web.problem import RequestError
from healthd.web.views import page

KIND = "report"
PAGE = 50
PREVIEW = "preview"


async def index(request: Request) -> Response:
    """`/reports`: the newest first, of one system or one cadence where asked for."""
    desk, query = desk_of(request), request.query_params
    system, cadence = query.get("system", ""), query.get("cadence", "")
    before = moment(query["before"], "before") if query.get("before") else None
    records = await desk.ask(desk.daemon.store.records(KIND, system=system, name=cadence, before=before, limit=PAGE))
    if not records:
        require_system(system, desk.daemon.catalogue.systems)
    return await page(
        request, "reports.html", reports=[_row(record) for record in records], system=system, cadence=cadence,
        systems=desk.daemon.catalogue.systems, older=records[-1].at if len(records) == PAGE else None, before=before,
    )  # fmt: skip


async def show(request: Request) -> Response:
    """`/reports/{id}`; `?format=markdown` for the same as text."""
    desk = desk_of(request)
    return await _answer(request, await find(desk, request.path_params["report"]))


async def preview(request: Request) -> Response:
    """`/reports/preview/{system}/{cadence}`: as it would be now."""
    desk = desk_of(request)
    return await _answer(request, await as_it_would_be(desk, **request.path_params), preview=True)


async def availability(request: Request) -> Response:
    """`/availability`: of every check of a system over three periods, against the system's objective."""
    desk = desk_of(request)
    systems = desk.daemon.catalogue.systems
    name = request.query_params.get("system", "") or next(iter(systems), "")
    return await page(
        request, "availability.html", system=systems.get(name), systems=systems, found=await objectives_of(desk, name)
    )


async def find(desk: Desk, report_id: str) -> Report:
    """Raises RequestError 404."""
    record = await desk.ask(desk.daemon.store.record(KIND, report_id))
    if record is None:
        raise RequestError(404, f"no report {report_id[:100]!r}", "it is older than history is kept, or never was")
    return report_of(record)


def report_of(record: Record) -> Report:
    """What a record holds. Raises RequestError 500 for what no version of healthd wrote."""
    try:
        return from_json(record.body)
    except (TypeError, ValueError, KeyError):
        raise RequestError(500, f"the report {record.id} cannot be read") from None


async def as_it_would_be(desk: Desk, system: str, cadence: str) -> Report:
    """Raises RequestError 404 with the nearest cadence."""
    try:
        return await desk.ask(desk.daemon.report_preview(system, cadence))
    except KeyError:
        systems = desk.daemon.catalogue.systems
        known = [f"{s.name}/{c.name}" for s in systems.values() for c in s.cadences.values()]
        wanted = f"{system}/{cadence}"
        hint = nearest(wanted, known) or "a report needs a calendar cadence that something runs at"
        raise RequestError(404, f"no checklist {wanted[:100]!r}", hint) from None


async def objectives_of(desk: Desk, system: str) -> list[Any]:
    """Raises RequestError 404 with the nearest system."""
    try:
        return await desk.ask(desk.daemon.objectives(system))
    except KeyError:
        raise RequestError(404, f"no system {system[:100]!r}", nearest(system, desk.daemon.catalogue.systems)) from None


def _row(record: Record) -> dict[str, Any]:
    counts = record.body.get("counts", {})
    return {
        "id": record.id,
        "at": record.at,
        "system": record.system,
        "cadence": record.name,
        "title": record.body.get("title", record.name),
        "level": record.body.get("level", "unknown"),
        "counts": counts,
        "bar": Markup(proportions(counts, _said(counts))),  # noqa: S704 - everything in it is escaped or a number
    }


def _said(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {level}" for level, count in counts.items())


async def _answer(request: Request, report: Report, *, preview: bool = False) -> Response:
    if request.query_params.get("format") == "markdown":
        return PlainTextResponse(markdown(report), media_type="text/markdown")
    lines = {
        item.check_id: Markup(sparkline(item.points, f"{item.title} over the last 30 days"))  # noqa: S704 - as above
        for item in report.items
    }
    known = desk_of(request).daemon.catalogue
    return await page(
        request, "report.html", report=report, lines=lines, preview=preview, system=known.systems.get(report.system),
        bar=Markup(proportions(report.counts, _said(report.counts))), checks=known.checks,  # noqa: S704 - as above
    )  # fmt: skip


ROUTES = [
    Route("/reports", index),
    Route(f"/reports/{PREVIEW}/{{system}}/{{cadence}}", preview),
    Route("/reports/{report}", show),
    Route("/availability", availability),
]
