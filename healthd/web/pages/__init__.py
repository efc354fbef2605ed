"""The pages: what people see."""

from starlette.routing import Route

from healthd.web.pages import (
    attestations,
    audit,
    check,
    checklists,
    governance,
    incidents,
    itself,
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
    *checklists.ROUTES,
    *incidents.ROUTES,
    *schedule.ROUTES,
    *reports.ROUTES,
    *silences.ROUTES,
    *attestations.ROUTES,
    *governance.ROUTES,
    *audit.ROUTES,
    *itself.ROUTES,
    *status.ROUTES,
    *session.ROUTES,
]
