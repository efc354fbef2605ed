"""A program of the user's own, run without a shell: its exit code, its output as measures, monitoring plugins."""

from healthd.probes.command.probe import CommandProbe

__all__ = ["CommandProbe"]
