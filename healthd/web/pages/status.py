"""For people who are not to see the rest: how each system stands, and as a picture for other pages."""

from __future__ import annotations

from markupsafe import escape
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from healthd.model.catalogue import System
from healthd.web.desk import Desk, desk_of
from healthd.web.nearest import nearest
from healthd.web.problem import RequestError
from healthd.web.standing import Status, count, overall, statuses
from healthd.web.views import page

COLOURS = {
    Status.OK: "#2f7d4f", Status.WARNING: "#9a6700", Status.CRITICAL: "#b3202c", Status.UNKNOWN: "#6548b5",
    Status.WAITING: "#51606e", Status.DISABLED: "#51606e",
}  # fmt: skip
SAID = {
    Status.OK: "operational", Status.WARNING: "degraded", Status.CRITICAL: "outage", Status.UNKNOWN: "not known",
    Status.WAITING: "not known yet", Status.DISABLED: "not watched",
}  # fmt: skip
HEADLINES = {
    Status.OK: "All systems operational", Status.WARNING: "Some systems are degraded",
    Status.CRITICAL: "There is an outage", Status.UNKNOWN: "The status is not known",
    Status.WAITING: "The status is not known yet", Status.DISABLED: "Nothing is watched",
}  # fmt: skip


async def status(request: Request) -> Response:
    """`/status`: each system in a word. No check, no value, no name of anything within is told."""
    desk = _open(request)
    systems = desk.daemon.catalogue.watched
    found = [(system.title, standing := _standing(desk, system), SAID[standing]) for system in systems]
    worst = min((standing for _, standing, _ in found), key=lambda s: s.rank, default=Status.DISABLED)
    return await page(request, "status.html", found=found, worst=worst, headline=HEADLINES[worst])


async def badge(request: Request) -> Response:
    """`/badge/{system}.svg`."""
    desk, name = _open(request), request.path_params["system"]
    systems = {system.name: system for system in desk.daemon.catalogue.watched}
    if name not in systems:
        raise RequestError(404, f"no system {name[:100]!r}", nearest(name, systems))
    standing = _standing(desk, systems[name])
    headers = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(_badge(systems[name].title, SAID[standing], COLOURS[standing]), headers=headers,
                    media_type="image/svg+xml")  # fmt: skip


def _open(request: Request) -> Desk:
    """Raises RequestError 404 unless the settings switch these on."""
    desk = desk_of(request)
    if not desk.daemon.settings.public_status:
        raise RequestError(404, "there is no public status page", "HEALTHD_PUBLIC_STATUS=true switches it on")
    return desk


def _standing(desk: Desk, system: System) -> Status:
    """What people still have to sign for is no outage."""
    looked_at = [check for check in system.checks if not check.is_attestation]
    return overall(count(statuses(desk.daemon, looked_at).values()))


def _badge(name: str, said: str, colour: str) -> str:
    """Two words side by side, widths by the number of letters."""
    left, right = 12 + 6.6 * len(name), 12 + 6.6 * len(said)
    text = 'y="14" text-anchor="middle" fill="#fff"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right:.0f}" height="20" role="img"'
        f' aria-label="{escape(name)}: {said}"><title>{escape(name)}: {said}</title>'
        f'<rect width="{left + right:.0f}" height="20" rx="3" fill="#3a4652"/>'
        f'<rect x="{left:.0f}" width="{right:.0f}" height="20" rx="3" fill="{colour}"/>'
        '<g font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:.0f}" {text}>{escape(name)}</text>'
        f'<text x="{left + right / 2:.0f}" {text}>{said}</text></g></svg>'
    )


ROUTES = [Route("/status", status), Route("/badge/{system}.svg", badge)]
