"""The `sentry` probe: issues and events of projects over a time."""

from healthd.probes.sentry.probe import SentryProbe

__all__ = ["SentryProbe"]
