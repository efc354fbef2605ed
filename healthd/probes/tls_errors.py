"""What OpenSSL means, in words a person understands."""

from __future__ import annotations

import ssl
from datetime import timedelta

from healthd.probes.network import explain_os_error, no_answer

# X509_V_ERR_* codes that people meet
_UNTRUSTED = {
    9: "certificate is not valid yet",
    10: "certificate expired",
    18: "certificate is self-signed",
    19: "certificate chain ends in a root that is not trusted",
    20: "certificate is not from a trusted issuer, or the server does not send its intermediate certificates",
    21: "certificate is not from a trusted issuer, or the server does not send its intermediate certificates",
    23: "certificate was revoked",
    26: "certificate is not for servers",
}
_HOSTNAME, _ADDRESS = 62, 64
_REASONS = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS on this port",
    "HTTP_REQUEST": "the server speaks plain HTTP on this port",
    "UNSUPPORTED_PROTOCOL": "the server only offers TLS versions that are too old",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the server and healthd share no TLS version",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server refused the handshake",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a client certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not trust the client certificate",
    "TLSV1_UNRECOGNIZED_NAME": "the server knows no certificate for this name",
    "DH_KEY_TOO_SMALL": "the server's key exchange is too weak",
    "UNEXPECTED_EOF_WHILE_READING": "the server closed the connection during the handshake",
}


def explain_failure(error: OSError, host: str, timeout: timedelta, doing: str) -> str:
    """The note for a connection that failed, be it in the name lookup, TCP, TLS, or for want of time."""
    if isinstance(error, ssl.SSLError):
        return explain_tls_error(error, host)
    if isinstance(error, TimeoutError) and not error.errno:
        return no_answer(timeout, doing)
    return explain_os_error(error, host)


def explain_tls_error(error: ssl.SSLError, host: str) -> str:
    """The note for a failed handshake, beginning with "TLS: "."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {explain_verification(error, host)}"
    reason = error.reason or ""
    return f"TLS: {_REASONS.get(reason) or reason.replace('_', ' ').lower() or 'handshake failed'}"


def explain_verification(error: ssl.SSLCertVerificationError, host: str) -> str:
    """Why a certificate was not accepted."""
    if error.verify_code in (_HOSTNAME, _ADDRESS):
        return f"certificate is not for {host}"
    return _UNTRUSTED.get(error.verify_code) or f"certificate: {error.verify_message}"
