"""Restore drills: a backup is only one when it can be restored."""

from healthd.probes.restore.probe import RestoreDrillProbe

__all__ = ["RestoreDrillProbe"]
