"""The `dns` probe: the records of a name, from a given name server or the system's."""

from healthd.probes.dns.probe import DnsProbe

__all__ = ["DnsProbe"]
