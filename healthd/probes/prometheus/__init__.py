"""The `prometheus` and `prometheus_alerts` probes: what a Prometheus (or Alertmanager) already knows."""

from healthd.probes.prometheus.alerts import PrometheusAlertsProbe
from healthd.probes.prometheus.query import PrometheusProbe

__all__ = ["PrometheusAlertsProbe", "PrometheusProbe"]
