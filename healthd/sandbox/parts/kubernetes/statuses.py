"""What the API server says when it does not do what it was asked: Status objects, in its own words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 410: "Expired",
    500: "InternalError", 503: "ServiceUnavailable",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RefusedError(Exception):
    """An answer other than success."""

    code: int
    message: str
    details: tuple[tuple[str, Any], ...] = ()

    def body(self) -> bytes:
        """The Status object."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message, "reason": _REASONS[self.code]}
        if self.details:
            status["details"] = dict(self.details)
        return json.dumps({**status, "code": self.code}).encode()


def not_found(plural: str, group: str, name: str) -> RefusedError:
    """There is no such object."""
    what = f"{plural}.{group}" if group else plural
    details = (("name", name), *((("group", group),) if group else ()), ("kind", plural))
    return RefusedError(404, f'{what} "{name}" not found', details)


def forbidden(user: str, verb: str, plural: str, group: str, namespace: str, name: str = "") -> RefusedError:  # noqa: PLR0917
    """RBAC does not allow it."""
    resource = plural.partition("/")[0]
    what = f"{resource}.{group}" if group else resource
    named = f' "{name}"' if name else ""
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    words = (
        f'{what}{named} is forbidden: User "{user}" cannot {verb} resource "{plural}" in API group "{group}" {where}'
    )
    details = (*((("name", name),) if name else ()), *((("group", group),) if group else ()), ("kind", resource))
    return RefusedError(403, words, details)
