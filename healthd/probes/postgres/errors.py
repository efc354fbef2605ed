"""What PostgreSQL and its client library say when something is wrong, as ProbeErrors with a stable kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from healthd.probes.base import ProbeError

if TYPE_CHECKING:
    import psycopg

__all__ = ["UNREACHABLE", "explain_login", "explain_query"]

# Kinds that mean: nobody could use this server now. Others are about our own account, address or query.
UNREACHABLE = frozenset(
    ("refused", "dns", "network", "timeout", "closed", "protocol", "tls", "starting", "exhausted", "rejected")
)

# A failed login carries no SQLSTATE, only text: the first pattern found decides.
_LOGIN: tuple[tuple[str, str], ...] = (
    (r"too many connections for role", "auth"),
    (r"too many clients|too many connections|connection slots are reserved|no more connections allowed", "exhausted"),
    (r"database system is (starting up|shutting down|in recovery)|not (yet )?accepting connections", "starting"),
    (r"in recovery mode|recovery state has not been", "starting"),
    (r"authentication failed|no pg_hba\.conf entry|pg_hba\.conf rejects|not permitted to log in", "auth"),
    (r'(role|database|user) "[^"]*" does not exist|no such (database|user)|permission denied', "auth"),
    (r"(root )?certificate file|private key file|invalid sslmode|weak sslmode", "config"),
    (r"certificate verify failed|certificate for .* does not match|certificate has expired", "tls"),
    (r"no password supplied|password.*(expired|required)|certificate|not support SSL|SSL .*required", "auth"),
    (r"requires? (SSL|encryption)|channel binding|authentication method", "auth"),
    (r"Connection refused|No such file or directory|Is the server running", "refused"),
    (r"timeout expired|timed out", "timeout"),
    (r"failed to resolve|could not translate host name", "dns"),
    (r"No route to host|Network is unreachable|Host is down", "network"),
    (r"invalid response|expected authentication|unexpected message|protocol version|lost synchroni", "protocol"),
    (r"closed the connection|Connection reset|SSL error|SSL SYSCALL|EOF detected|Broken pipe", "closed"),
)
_WORDS = {
    "refused": "connection refused",
    "timeout": "no answer to the connection attempt",
    "closed": "the server closed the connection",
    "protocol": "what answers there is not PostgreSQL",
    "tls": "TLS: the certificate is not acceptable",
}
_PREFIX = re.compile(r"^(?:connection failed: )?(?:connection to server .*? failed: )?(?:[A-Z]+:\s+)?", re.DOTALL)


def explain_login(error: psycopg.Error, label: str) -> ProbeError:
    """Why connecting to `label` (user@host:port/database) failed. Unknown refusals have the kind `rejected`."""
    text = str(error)
    kind = next((kind for pattern, kind in _LOGIN if re.search(pattern, text, re.IGNORECASE)), "rejected")
    detail = _PREFIX.sub("", text).split("\n", 1)[0].strip()
    if kind in _WORDS:
        detail = _WORDS[kind] + (f" ({detail})" if kind in ("protocol", "tls") else "")
    return ProbeError(f"{detail} ({label})", kind)


# By SQLSTATE, or by its class (the first two characters).
_QUERY: dict[str, tuple[str, str]] = {
    "57014": ("timeout", "the query took too long and was broken off by the server"),
    "55P03": ("timeout", "the query waited too long for a lock"),
    "25006": ("forbidden", "the query tries to change something, and healthd only reads"),
    "25001": ("forbidden", "the query tries to leave the read-only transaction"),
    "42501": ("forbidden", ""),
    "55000": ("config", ""),  # not in this state: on a standby, without a library loaded at the start
    "57": ("closed", "the server ended the session"),
    "53": ("exhausted", ""),
    "42": ("config", ""),
    "22": ("query", ""),
}
_DENIED = re.compile(
    r"permission denied for (?P<kind>table|view|materialized view|foreign table|sequence|schema|function) "
)
_NEEDED = {"schema": "USAGE", "function": "EXECUTE"}  # for the others SELECT
_DATA_CHANGING = re.compile(r"data-modifying|DECLARE CURSOR|cannot specify INTO")


def explain_query(error: psycopg.Error, label: str) -> ProbeError:
    """Why a query on an open connection failed, in the server's words without the query's text."""
    from psycopg import DataError

    state = error.sqlstate or ""
    said = (error.diag.message_primary or "").strip()
    if not state:
        if isinstance(error, DataError):
            return ProbeError(f"a value cannot be read: {error}", "query")
        return ProbeError(f"the server closed the connection ({label})", "closed")
    if state == "0A000" or _DATA_CHANGING.search(said):
        return ProbeError(f"{said}: healthd only reads", "forbidden")
    kind, words = _QUERY.get(state) or _QUERY.get(state[:2]) or ("query", "")
    if denied := _DENIED.match(said):
        return ProbeError(f"{said}: needs {_NEEDED.get(denied['kind'], 'SELECT')} on it ({label})", kind)
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint and kind == "config" else ""
    return ProbeError(": ".join(part for part in (words, said) if part) + hint, kind)
