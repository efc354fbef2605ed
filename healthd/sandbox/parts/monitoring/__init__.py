"""Prometheus of an emulated production: the real one when it is installed, else a small stand-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from healthd.sandbox.parts.monitoring.rules import Rule
from healthd.sandbox.parts.monitoring.server import Prometheus, prometheus_program
from healthd.sandbox.parts.monitoring.standin import StandIn

__all__ = ["Monitoring", "Prometheus", "Rule", "StandIn", "monitoring"]

Monitoring = Prometheus | StandIn


def monitoring(targets: Mapping[str, int], rules: Sequence[Rule], folder: Path, logs: Path) -> Monitoring:
    """What scrapes `/metrics` of each job's port every second and holds `rules` against it; has `start` and `stop`."""
    if program := prometheus_program():
        return Prometheus(program, targets, rules, folder, logs / "prometheus.log")
    return StandIn(targets, rules)
