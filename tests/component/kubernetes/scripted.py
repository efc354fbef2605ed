"""An API server that answers as a test says: for what a real one does rarely, or only with other software beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.servers.receiver import Answer, Receiver, Request

Body = Mapping[str, Any] | list[Any] | str | bytes
Route = Body | Answer | Callable[[dict[str, str]], Any]


def kubeconfig_for(url: str, folder: Path, token: str = "let-me-in-please") -> str:
    """The path of a kubeconfig for an API server without TLS."""
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "main",
            "clusters": [{"name": "main", "cluster": {"server": url}}],
            "users": [{"name": "tester", "user": {"token": token}}],
            "contexts": [{"name": "main", "context": {"cluster": "main", "user": "tester"}}],
        })
    )  # fmt: skip
    return str(path)


def status(code: int, message: str = "", reason: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    """A failure as the API server words it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
    return code, {"Content-Type": "application/json", **(headers or {})}, json.dumps({**body, "code": code})


def listed(*items: Any, token: str = "") -> dict[str, Any]:
    """A list of objects; with `token` there is a further page."""
    metadata = {"resourceVersion": "7", **({"continue": token} if token else {})}
    return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": list(items)}


def serve(receiver: Receiver, routes: Mapping[str, Route]) -> None:
    """Answer GETs by path: an object as JSON, text, a receiver's Answer, or what a function of the query gives."""

    def decide(request: Request) -> Answer:
        parts = urlsplit(request.path)
        route: Any = routes.get(parts.path, status(404, "the server could not find the requested resource"))
        if callable(route):
            route = route(dict(parse_qsl(parts.query)))
        if isinstance(route, Mapping | list):
            return 200, {"Content-Type": "application/json"}, json.dumps(route)
        return route  # type: ignore[no-any-return]

    receiver.decide(decide)
