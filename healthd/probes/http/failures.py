"""Why there was no answer, in words a person understands."""

from __future__ import annotations

import re
import ssl
import zlib
from datetime import timedelta

import aiohttp

from healthd.probes.http.exchange import Trail
from healthd.probes.http.request import RedirectError
from healthd.probes.http.timings import Timings
from healthd.probes.network import error_kind, explain_os_error, no_answer
from healthd.probes.tls_errors import explain_tls_error

FAILURES = (aiohttp.ClientError, OSError, RedirectError, zlib.error, ValueError)

_PLAIN: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ServerDisconnectedError, "connection closed by the server before any answer"),
    (aiohttp.ClientPayloadError, "connection closed by the server in the middle of the body"),
    (aiohttp.InvalidURL, "this URL cannot be asked"),
    (zlib.error, "the body cannot be decompressed"),
)


def explain(error: Exception, trail: Trail, timings: Timings, timeout: timedelta) -> str:
    """The note for a failed exchange, without secrets."""
    if isinstance(error, TimeoutError) and not error.errno:
        reason = no_answer(timeout, timings.stage)
    else:
        reason = explain_client_error(error, trail.request.url.host or "")[0]
    if trail.hops and not isinstance(error, RedirectError):
        reason += f" (after a redirect to {trail.request.shown})"
    return trail.request.redact(reason)


def explain_client_error(error: Exception, host: str) -> tuple[str, str]:
    """What one of FAILURES means, and the stable word for it (refused, dns, tls, network, protocol)."""
    for kind, words in _PLAIN:
        if isinstance(error, kind):
            return words, "protocol"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _not_connected(error, host)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused: {error.status} {error.message}", "protocol"
    if isinstance(error, aiohttp.ClientResponseError):
        return _malformed(error.message), "protocol"
    if isinstance(error, OSError):
        return explain_os_error(error, host), error_kind(error)
    return str(error) or type(error).__name__, "protocol"


def _not_connected(error: aiohttp.ClientConnectorError, host: str) -> tuple[str, str]:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause: Exception = error.certificate_error
    else:
        cause = error.os_error
    if isinstance(cause, ssl.SSLError):
        return explain_tls_error(cause, host), "tls"
    if not isinstance(cause, OSError):
        return str(cause), "network"
    words = explain_os_error(cause, host)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        words = f"the proxy does not answer: {words}"
    return words, error_kind(cause)


def _malformed(message: str) -> str:
    """From the parser's words: what was sent instead of HTTP."""
    if too_long := re.search(r"more than (\d+) bytes", message):
        return f"not HTTP: a header line is longer than {too_long[1]} bytes"
    kind = message.split(":", 1)[0].strip().lower()
    sent = re.search(r"b(['\"])(.*)\1", message, re.DOTALL)
    excerpt = f' "{sent[2][:80]}"' if sent else ""
    return f"not HTTP: {kind}{excerpt}"
