"""The `tls` probe: the certificate a server shows, or one in a file."""

from healthd.probes.tls.probe import TlsProbe

__all__ = ["TlsProbe"]
