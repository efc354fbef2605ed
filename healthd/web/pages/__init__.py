"""The pages: what people see."""

from starlette.routing import Route

from healthd.web.pages import check, incidents, overview, schedule, session

ROUTES: list[Route] = [
    *overview.ROUTES,
    *check.ROUTES,
    *incidents.ROUTES,
    *schedule.ROUTES,
    *session.ROUTES,
]
