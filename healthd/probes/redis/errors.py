"""What Redis and its client library say when something is wrong, as ProbeErrors with a stable kind."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

from healthd.probes.base import ProbeError
from healthd.probes.network import error_kind, explain_os_error
from healthd.probes.tls_errors import explain_tls_error

if TYPE_CHECKING:
    from redis import RedisError

    from healthd.probes.redis.address import Address

__all__ = ["UNREACHABLE", "explain"]

# Kinds that mean: nobody could use this server now. Others are about our own account, address or key.
UNREACHABLE = frozenset({"refused", "dns", "network", "timeout", "closed", "protocol", "tls"}) | {
    *("exhausted", "loading", "masterdown", "script", "misconf"),
}

# By the first word of an error reply that the client library leaves as it is.
_REPLIES = {
    "MISCONF": ("misconf", "cannot write its data to disk and refuses writes"),
    "BUSY": ("script", "is busy with a script and answers nobody"),
    "DENIED": ("auth", "is in protected mode and refuses this machine"),
    "NOREPLICAS": ("misconf", "has too few replicas and refuses writes"),
    "WRONGTYPE": ("config", "holds another type under this key"),
    "NOGROUP": ("missing", "has no such consumer group"),
}
# The server names the command that an access list lacks.
_COMMAND = re.compile(r"run the '([\w|-]+)' command")

# By the client library's name of an error, the nearest ancestor first; `{}` stands for the server's words.
_ERRORS = {
    "NoPermissionError": ("forbidden", "this user may not ask that: {}"),
    "AuthenticationError": ("auth", "log-in refused: {}"),
    "BusyLoadingError": ("loading", "Redis is loading its data set and answers nobody yet"),
    "MasterDownError": ("masterdown", "a replica that has lost its master and serves no stale data"),
    "OutOfMemoryError": ("exhausted", "out of memory: {}"),
    "AskError": ("config", "the key is on another node of the cluster: {}"),  # MovedError is one
    "ClusterError": ("config", "the cluster cannot answer: {}"),
    "InvalidResponse": ("protocol", "what answers there is not Redis"),
    "ConnectionError": ("closed", "the server closed the connection"),
}


def explain(error: RedisError | OSError, address: Address) -> ProbeError:
    """Why Redis at `address` could not be asked, without the password."""
    kind, words = _explain(error, address)
    return ProbeError(f"{words} ({address.label})", kind)


def _explain(error: RedisError | OSError, address: Address) -> tuple[str, str]:
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLError):
        return "tls", explain_tls_error(cause, address.host)
    if isinstance(cause, OSError):
        return error_kind(cause), explain_os_error(cause, address.host)
    return _explain_reply(error, address)


def _explain_reply(error: Exception, address: Address) -> tuple[str, str]:
    text = str(error)
    if "max number of clients" in text:
        return "exhausted", "Redis has its maximum number of clients and takes no more"
    code, _, said = text.partition(" ")
    if code in _REPLIES:
        kind, words = _REPLIES[code]
        return kind, f"Redis {words}: {said}"
    names = [ancestor.__name__ for ancestor in type(error).__mro__]
    kind, words = next((known for name in names if (known := _ERRORS.get(name))), ("error", "Redis answered: {}"))
    if kind == "closed" and not address.tls:
        words += "; does it want TLS (rediss://)?"
    if kind == "forbidden" and (command := _COMMAND.search(text)):
        words = f"forbidden: needs +{command[1]}"
    return kind, words.format(text)
