"""What leaves nobody to notice."""

from __future__ import annotations

from healthd.sandbox.social_live.faults.common import MINUTE, SOON, Act, Faults, now
from healthd.sandbox.social_live.production import Production
from healthd.sandbox.world import Fault, Opens

_ON_PROMETHEUS = (
    *("error-rate", "response-time", "scaling-response-time", "heap-used", "api-requests", "database-disk"),
    "prometheus-targets",
)


def _expose(exposed: bool) -> Act:
    async def act(world: Production) -> None:
        world.application.telemetry.exposed = exposed

    return act


MONITORING: Faults = (
    Fault(
        "prometheus-down", "Prometheus is down", ("prometheus-reachable",), SOON,
        lambda w: w.monitoring.stop(), lambda w: w.start_monitoring(), quiet=_ON_PROMETHEUS,
        incident=Opens("no-monitoring", "Severity 3"),
    ),
    Fault(
        "target-down", "the exporter on the database's machine refuses connections",
        ("prometheus-targets", "database-disk"), MINUTE,
        lambda w: w.exporter.listener.stop(), lambda w: w.exporter.listener.start(),
        incident=Opens("no-monitoring", "Severity 3"),
    ),
    Fault(
        "metrics-renamed", "a release exposes the backend's metrics under other names",
        ("error-rate", "heap-used", "api-requests"), "30 s", _expose(False), _expose(True),
        incident=Opens("high-error-rate", "Severity 2"), apart=("api-slow", "api-slower"),
    ),
    Fault(
        "grafana-down", "Grafana refuses connections", ("grafana",), SOON,
        lambda w: w.grafana.listener.stop(), lambda w: w.grafana.listener.start(), quiet=("grafana-alerts",),
        incident=Opens("no-monitoring", "Severity 3"),
    ),
    Fault(
        "grafana-alert", "an alert fires in Grafana", ("grafana-alerts",), MINUTE,
        now(lambda w: w.grafana.fire("FeedLatencyHigh")), now(lambda w: w.grafana.resolve("FeedLatencyHigh")),
        incident=Opens("incident-response", "Severity 3"),
    ),
)  # fmt: skip
