"""The pages: what people see."""

from starlette.routing import Route

from healthd.web.pages import (
    attestations,
    check,
    governance,
    incidents,
    overview,
    reports,
    schedule,
    session,
    silences,
    status,
)

ROUTES: list[Route] = [
    *overview.ROUTES,
    *check.ROUTES,
    *incidents.ROUTES,
    *schedule.ROUTES,
    *reports.ROUTES,
    *silences.ROUTES,
    *attestations.ROUTES,
    *governance.ROUTES,
    *status.ROUTES,
    *session.ROUTES,
]
