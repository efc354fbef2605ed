"""Why an engine could not be asked, with what would help."""

from __future__ import annotations

import errno
import grp
import json
import stat
from pathlib import Path
from urllib.parse import urlsplit

from healthd.probes.base import ProbeError
from healthd.probes.docker.params import EngineParams

__all__ = ["RefusedError", "explain_connection", "explain_status"]

_SHOWN = 300  # characters of what the engine says
_NO_SOCKET = (
    "there is no socket {}: is Docker installed and running, and, where healthd runs in a container, its socket"
    " mounted into it?"
)
# by errno; none: it was connected
_SOCKET: dict[int, tuple[str, str]] = {
    errno.ENOENT: (_NO_SOCKET, "missing"),
    errno.ENOTDIR: (_NO_SOCKET, "missing"),
    errno.EACCES: ("forbidden: healthd may not use {}", "forbidden"),
    errno.EPERM: ("forbidden: healthd may not use {}", "forbidden"),
    errno.ECONNREFUSED: ("nothing listens on {}: the Docker engine is not running", "refused"),
    errno.EAGAIN: ("the Docker engine takes no connections on {}: it is overloaded or hangs", "busy"),
    errno.EPROTOTYPE: ("{} is not a socket an engine listens on", "config"),
    0: ("the Docker engine closed the connection ({})", "network"),
}


class RefusedError(ProbeError):
    """An answer other than success. `status` is that of HTTP."""

    def __init__(self, reason: str, kind: str, status: int) -> None:
        super().__init__(reason, kind)
        self.status = status


def explain_connection(error: Exception, engine: EngineParams) -> ProbeError:
    """For aiohttp's errors and OSError."""
    cause = getattr(error, "os_error", error)
    if engine.socket and isinstance(cause, OSError):
        return _explain_socket(cause, engine.socket)
    from healthd.probes.http.failures import explain_client_error

    words, kind = explain_client_error(error, urlsplit(engine.url).hostname or "the engine")
    hint = "; does it want TLS (https://)?" if kind == "protocol" and engine.base().startswith("http:") else ""
    return ProbeError(f"Docker engine {engine.url}: {words}{hint}", kind)


def _explain_socket(error: OSError, path: str) -> ProbeError:
    words, kind = _SOCKET.get(error.errno or 0, ((error.strerror or str(error)).lower() + ": {}", "network"))
    if kind == "refused" and Path(path).exists() and not Path(path).is_socket():
        return ProbeError(f"{path} is not a socket", "config")
    return ProbeError(words.format(path) + (_owner(path) if kind == "forbidden" else ""), kind)


def _owner(path: str) -> str:
    """Who may, if that can be seen from here."""
    try:
        status = Path(path).stat()
    except OSError:
        return ": it cannot look into its folder"
    if not status.st_mode & stat.S_IWGRP:
        return f": only its owner (user {status.st_uid}) may"
    try:
        name = f"{grp.getgrgid(status.st_gid).gr_name} ({status.st_gid})"
    except KeyError:
        name = str(status.st_gid)
    return f": its user must be in the group {name}"


def explain_status(status: int, body: bytes, what: str, engine: EngineParams) -> RefusedError:
    """For an answer other than success to the question `what` ("GET /containers/json")."""
    said = _message(body)
    match status:
        case 401 | 403:
            reason = f"forbidden: needs {what} on {engine.url}" + (f" ({said})" if said else "")
            return RefusedError(reason, "forbidden" if status == 403 else "auth", status)
        case 404:
            return RefusedError(said or f"{engine.url} does not know {what}", "missing", status)
        case 400 if "client version" in said:
            return RefusedError(f"Docker engine {engine.url}: {said}", "unsupported", status)
        case _ if "does not support read" in said:
            return RefusedError(said, "unsupported", status)
        case _ if status >= 500:
            return RefusedError(f"the Docker engine failed at {what} ({status}): {said}", "unavailable", status)
        case _:
            return RefusedError(f"the Docker engine refused {what} ({status}): {said}", "protocol", status)


def _message(body: bytes) -> str:
    try:
        said = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        said = body.decode(errors="replace")
    return " ".join(said.split())[:_SHOWN]
