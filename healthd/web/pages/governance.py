"""What is in force, and what of the runbook it covers."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from healthd.coverage import Coverage, State
from healthd.coverage import coverage as compute
from healthd.settings import PREFIX, Settings
from healthd.web.desk import desk_of
from healthd.web.nearest import require_system
from healthd.web.standing import Status
from healthd.web.views import page

HIDDEN = "set, not shown"


async def coverage(request: Request) -> Response:
    """`/coverage`: every documented item and what takes care of it; `?system=`, `?uncovered=1`."""
    desk = desk_of(request)
    systems = {system.name: system for system in desk.daemon.catalogue.watched}
    chosen = request.query_params.get("system", "")
    require_system(chosen, systems)
    wanted = [chosen] if chosen else [name for name, s in systems.items() if s.runbook.documents]
    found = await asyncio.to_thread(compute, desk.daemon.catalogue, wanted)
    only = request.query_params.get("uncovered") == "1"
    shown = [d for d in found.documents if not only or any(item.state.is_wrong for item in d.items)]
    return await page(
        request, "coverage.html", found=found, documents=shown, systems=systems, system=chosen, only_wrong=only,
        wrong=("uncovered", "differs"), states=tuple(State), shares=_shares,
    )  # fmt: skip


async def configuration(request: Request) -> Response:
    """`/configuration`: settings without secrets, systems, channels, routes, warnings."""
    daemon = desk_of(request).daemon
    catalogue = daemon.catalogue
    return await page(
        request, "configuration.html", settings=_shown(daemon.settings), catalogue=catalogue,
        reload_problem=daemon.reload_problem, started=daemon.started_at, channels=daemon.channels,
    )  # fmt: skip


def _shares(found: Coverage) -> dict[Status, int]:
    """In the colours of a bar."""
    colours = {State.UNCOVERED: Status.CRITICAL, State.DIFFERS: Status.WARNING, State.COVERED: Status.OK}
    return {colours.get(state, Status.WAITING): found.count(state) for state in State}


def _shown(settings: Settings) -> list[tuple[str, str, str]]:
    """(variable, value, help) of those that are not as they are by default."""
    found = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value != field.get_default(call_default_factory=True):
            found.append((PREFIX + name.upper(), _text(value), field.description or ""))
    return found


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, tuple):
        return HIDDEN if any(isinstance(part, SecretStr) for part in value) else ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


ROUTES = [Route("/coverage", coverage), Route("/configuration", configuration)]
