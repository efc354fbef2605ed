"""The `logs` probe: lines of log files by pattern, from where the last look ended, or of a time before now."""

from healthd.probes.logs.probe import LogsProbe

__all__ = ["LogsProbe"]
