"""What the API server says when it does not answer the question, as ProbeErrors with a stable kind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from healthd.probes.base import ProbeError
from healthd.probes.kubernetes.access import Rule

__all__ = ["RefusedError", "explain_status"]

_USER = re.compile(r'User "([^"]+)"')
_SHOWN = 300  # characters of what the server says


class RefusedError(ProbeError):
    """An answer other than 200. `status` is that of HTTP, `said` the server's own words."""

    def __init__(self, reason: str, kind: str, status: int, said: str) -> None:
        super().__init__(reason, kind)
        self.status, self.said = status, said


def explain_status(
    status: int, body: bytes, headers: Mapping[str, str], *, rule: Rule | None, absent: str, server: str
) -> RefusedError:
    """Why there is no answer but `status`. `absent` says what it means that the server knows no such resource."""
    said = _words(body)
    match status:
        case 401:
            return RefusedError(f"{server} does not accept the credentials (401)", "auth", status, said)
        case 403:
            return RefusedError(_forbidden(rule, said), "forbidden", status, said)
        case 404:
            return RefusedError(absent or f"{server} does not know that: {said}", "missing", status, said)
        case 429:
            wait = headers.get("Retry-After", "")
            when = f", says to ask again in {wait}s" if wait.isdecimal() else ""
            return RefusedError(f"{server} has too many requests (429){when}", "busy", status, said)
        case 500 | 502 | 503 | 504:
            what = f"{absent}: " if absent and rule is not None and "." in rule.group else ""
            reason = f"{what}{server} cannot answer now ({status}): {said or 'no reason given'}"
            return RefusedError(reason, "unavailable", status, said)
        case _:
            return RefusedError(f"{server} refused the question ({status}): {said}", "protocol", status, said)


def _words(body: bytes) -> str:
    """The message of a Status object; something that is none is quoted."""
    try:
        status = json.loads(body)
        message = str(status.get("message") or status.get("reason") or "")
    except (ValueError, AttributeError, RecursionError):
        message = body.decode(errors="replace")
    return " ".join(message.split())[:_SHOWN]


def _forbidden(rule: Rule | None, said: str) -> str:
    user = _USER.search(said)
    if rule is None:
        return f"forbidden: {said}"
    return f"forbidden: needs {rule}" + (f" (as {user[1]})" if user else "")
