"""Outages: of the API, the site, what they depend on, and the data itself."""

from __future__ import annotations

from healthd.sandbox.social_live.faults.common import HELD, MINUTE, SOON, Act, Faults, sql
from healthd.sandbox.social_live.production import Production
from healthd.sandbox.social_live.schema import ADD_POSTS_OF_TODAY, ADD_USERS
from healthd.sandbox.world import Fault, Opens

_ON_DATABASE = (
    *("users", "posts-last-day", "slow-queries", "indexes-there", "index-usage", "column-statistics", "active-users"),
    *("posts-today", "database-size", "database-connections", "tables-vacuumed", "old-sessions"),
)


def _set_external(working: bool) -> Act:
    async def act(world: Production) -> None:
        world.external.working = working

    return act


OUTAGES: Faults = (
    Fault(
        "api-down", "the ingress refuses connections to the API", ("api-health",), HELD,
        lambda w: w.application.api.stop(), lambda w: w.application.api.start(),
        incident=Opens("service-down", "Severity 1"),
    ),
    Fault(
        "app-down", "the web application refuses connections", ("app-health",), HELD,
        lambda w: w.application.web.stop(), lambda w: w.application.web.start(),
        incident=Opens("service-down", "Severity 1"),
    ),
    Fault(
        "database-down", "PostgreSQL is down", ("database-up",), SOON,
        lambda w: w.database.stop(), lambda w: w.database.start(), quiet=("api-health", "error-rate", *_ON_DATABASE),
        incident=Opens("database-unavailable", "Severity 1"),
    ),
    Fault(
        "redis-down", "Redis is down", ("redis-up",), SOON,
        lambda w: w.cache.stop(), lambda w: w.cache.start(),
        quiet=("api-health", "error-rate", "redis-memory", "cache-hits", "cache-big-keys"),
        incident=Opens("redis-unavailable", "Severity 2"),
    ),
    Fault(
        "external-service-down", "the external service says that it is down", ("external-service",), SOON,
        _set_external(False), _set_external(True), incident=Opens("external-service", "Severity 2"),
    ),
    Fault(
        "users-lost", "every row of users is gone", ("users",), MINUTE,
        sql("DELETE FROM users"), sql(ADD_USERS), incident=Opens("disaster-recovery", "Severity 1"),
    ),
    Fault(
        "no-posts", "posts cannot be written, and the last day's are gone", ("posts-last-day",), MINUTE,
        sql(
            "REVOKE INSERT ON posts FROM sociallive",
            "DELETE FROM posts WHERE created_at > now() - interval '26 hours'",
        ),
        sql("GRANT INSERT ON posts TO sociallive", ADD_POSTS_OF_TODAY),
        incident=Opens("high-error-rate", "Severity 3"),
    ),
)  # fmt: skip
