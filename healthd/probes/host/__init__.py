"""This machine: disk, memory, cpu, load, clock, process, uptime. One module per subject, psutil imported lazily."""

from healthd.probes.host.clock import ClockProbe
from healthd.probes.host.cpu import CpuProbe
from healthd.probes.host.disk import DiskProbe
from healthd.probes.host.load import LoadProbe
from healthd.probes.host.memory import MemoryProbe
from healthd.probes.host.process import ProcessProbe
from healthd.probes.host.uptime import UptimeProbe

__all__ = ["ClockProbe", "CpuProbe", "DiskProbe", "LoadProbe", "MemoryProbe", "ProcessProbe", "UptimeProbe"]
