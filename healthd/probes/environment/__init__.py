"""The `environment` probe: variables and secret files a program needs, by name; values are never kept."""

from healthd.probes.environment.probe import EnvironmentProbe

__all__ = ["EnvironmentProbe"]
