"""The probes that ask Datadog: a metric query, and the state of monitors."""

from healthd.probes.datadog.metric import DatadogProbe
from healthd.probes.datadog.monitors import DatadogMonitorsProbe

__all__ = ["DatadogMonitorsProbe", "DatadogProbe"]
