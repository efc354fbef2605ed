"""The probes that ask Prometheus, what speaks its API, and Alertmanager."""

from healthd.probes.prometheus.alerts import PrometheusAlertsProbe
from healthd.probes.prometheus.compare import PrometheusCompareProbe
from healthd.probes.prometheus.forecast import PrometheusForecastProbe
from healthd.probes.prometheus.query import PrometheusProbe
from healthd.probes.prometheus.targets import PrometheusTargetsProbe

__all__ = [
    "PrometheusAlertsProbe",
    "PrometheusCompareProbe",
    "PrometheusForecastProbe",
    "PrometheusProbe",
    "PrometheusTargetsProbe",
]
