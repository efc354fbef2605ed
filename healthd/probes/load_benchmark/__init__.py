"""The `load_benchmark` probe: many requests to one URL, in a process of its own, where the settings allow it."""

from healthd.probes.load_benchmark.probe import LoadBenchmarkProbe

__all__ = ["LoadBenchmarkProbe"]
