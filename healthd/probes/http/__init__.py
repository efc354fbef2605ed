"""The `http` probe: one request to one URL, its phases timed, its answer held against what is expected."""

from healthd.probes.http.probe import HttpProbe

__all__ = ["HttpProbe"]
