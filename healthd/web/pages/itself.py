"""healthd's own state: whether it works, what it waits for, what it finds wrong with itself."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from healthd import __version__
from healthd.store.base import OutboxState, StoreError
from healthd.web.coming import intervals
from healthd.web.desk import Desk, desk_of
from healthd.web.standing import Status, count, overall, standings, statuses
from healthd.web.views import page


async def show(request: Request) -> Response:
    """`/healthd`. Without the store it says so, and shows the rest."""
    desk = desk_of(request)
    daemon = desk.daemon
    own = [check for system in daemon.catalogue.systems.values() if system.own for check in system.checks]
    everything = statuses(daemon, daemon.catalogue.watched_checks)
    waiting, problem = await _outbox(desk)
    reasons = daemon.unready()
    return await page(
        request,
        "itself.html",
        version=__version__,
        started=daemon.started_at,
        reasons=reasons,
        reload_problem=daemon.reload_problem,
        catalogue=daemon.catalogue,
        rows=standings(daemon, own),
        standing=Status.CRITICAL if reasons else overall(count(statuses(daemon, own).values())),
        counts=count(everything.values()),
        total=len(everything),
        settings=daemon.settings,
        channels=daemon.channels,
        waiting=waiting,
        problem=problem,
        database=daemon.settings.database_url.get_secret_value().partition(":")[0],
        leading=daemon.leading,
        leader=daemon.leader_address,
        intervals=intervals(daemon.catalogue),
    )


async def _outbox(desk: Desk) -> tuple[Mapping[str, OutboxState], str]:
    try:
        return {state.channel: state for state in await desk.ask(desk.daemon.store.outbox())}, ""
    except StoreError as error:
        return {}, error.reason


ROUTES = [Route("/healthd", show)]
