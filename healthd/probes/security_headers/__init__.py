"""The `http_headers` probe: the security headers of an answer, graded."""

from healthd.probes.security_headers.probe import HttpHeadersProbe

__all__ = ["HttpHeadersProbe"]
