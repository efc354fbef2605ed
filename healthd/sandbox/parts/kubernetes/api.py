"""The API server over HTTP: discovery, objects and lists of them, logs of pods; refuses as the real one does.

It reads only: what writes or watches is answered with 405.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from healthd.sandbox.parts.kubernetes.logs import Reading
from healthd.sandbox.parts.kubernetes.pods import Pod
from healthd.sandbox.parts.kubernetes.selection import SelectorError, by_fields, by_labels
from healthd.sandbox.parts.kubernetes.statuses import RefusedError, forbidden, not_found
from healthd.sandbox.parts.kubernetes.store import Kind, Store
from healthd.sandbox.parts.kubernetes.times import Manifest, document

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Extra = Callable[[str, str, str], Any]  # (namespace, name, plural) -> a document, for what is not stored

_LISTS_KEPT = 100
_USER = web.RequestKey("user", str)


@dataclass
class Users:
    """Who may ask, and what is forbidden to everybody by now."""

    tokens: dict[str, str] = field(default_factory=dict)  # token -> user
    forbidden: set[str] = field(default_factory=set)  # resources: pods, pods/log, certificates

    def add(self, name: str) -> str:
        """The token of a new user."""
        token = secrets.token_urlsafe(24)
        self.tokens[token] = name
        return token

    def who(self, request: web.Request) -> str:
        """The user that asks. RefusedError when nobody known does."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        for token, name in self.tokens.items():
            if hmac.compare_digest(token.encode(), given.encode()):
                return name
        raise RefusedError(401, "Unauthorized")


class Api:
    """Answers for a store. `usage` gives the documents of metrics.k8s.io, `summary` those of kubelets."""

    def __init__(self, store: Store, pods: Mapping[tuple[str, str], Pod], users: Users, version: str) -> None:
        self._store, self._pods, self._users, self._version = store, pods, users, version
        self.usage: Callable[[str, str, str], list[Manifest]] = lambda *_: []
        self.summary: Callable[[str], Manifest | None] = lambda _: None
        self._rest_of_lists: dict[str, list[Manifest]] = {}

    def application(self) -> web.Application:
        """What listens."""
        application = web.Application(middlewares=[self._answer])
        application.add_routes(
            [
                web.get("/{probe:healthz|livez|readyz}", self._healthy),
                web.get("/version", self._tell_version),
                web.get("/api", self._core_versions),
                web.get("/apis", self._groups),
                web.get("/api/v1/nodes/{name}/proxy/stats/summary", self._summary),
                web.get("/api/v1/namespaces/{namespace}/pods/{name}/log", self._log),
                *self._of_resources("/api/{version:v1}"),
                *self._of_resources("/apis/{group}/{version}"),
                web.route("*", "/{rest:.*}", self._nothing),
            ]
        )
        return application

    def _of_resources(self, root: str) -> list[web.RouteDef]:
        return [
            web.get(root, self._resources),
            web.get(root + "/{plural}", self._list),
            web.get(root + "/namespaces/{namespace}/{plural}", self._list),
            web.get(root + "/namespaces/{namespace}/{plural}/{name}", self._get),
            web.get(root + "/{plural}/{name}", self._get),
        ]

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            request[_USER] = self._users.who(request)
            return await handler(request)
        except RefusedError as refusal:
            return web.Response(status=refusal.code, body=refusal.body(), content_type="application/json")

    async def _nothing(self, request: web.Request) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            raise RefusedError(405, "the server does not allow this method on the requested resource")
        return web.Response(status=404, text="404 page not found\n")

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _tell_version(self, _: web.Request) -> web.Response:
        major, minor = self._version.removeprefix("v").split(".")[:2]
        return _json({"major": major, "minor": minor, "gitVersion": self._version, "platform": "linux/amd64"})

    async def _core_versions(self, _: web.Request) -> web.Response:
        return _json({"kind": "APIVersions", "versions": ["v1"]})

    async def _groups(self, _: web.Request) -> web.Response:
        groups: dict[str, list[str]] = {}
        for kind in self._store.kinds:
            if kind.group and kind.version not in groups.setdefault(kind.group, []):
                groups[kind.group].append(kind.version)
        return _json({"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*one) for one in groups.items()]})

    async def _resources(self, request: web.Request) -> web.Response:
        group, version = request.match_info.get("group", ""), request.match_info["version"]
        served = [kind for kind in self._store.kinds if (kind.group, kind.version) == (group, version)]
        if not served:
            return await self._nothing(request)
        listed = [
            {"name": k.plural, "singularName": k.kind.lower(), "namespaced": k.namespaced, "kind": k.kind,
             "verbs": ["get", "list"]}
            for k in served
        ]  # fmt: skip
        group_version = served[0].api_version
        return _json(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}
        )

    async def _list(self, request: web.Request) -> web.Response:
        kind = self._kind(request)
        if kind is None:
            return await self._nothing(request)
        namespace = request.match_info.get("namespace", "")
        self._check(request, "list", kind, kind.plural, namespace)
        if request.query.get("watch") in ("true", "1"):
            raise RefusedError(405, "this emulated cluster serves no watches")
        items = self._begun(request) if request.query.get("continue") else self._fresh(request, kind, namespace)
        return _json(self._page(kind, items, _whole_number(request, "limit") or 0))

    async def _get(self, request: web.Request) -> web.Response:
        kind = self._kind(request)
        if kind is None:
            return await self._nothing(request)
        namespace, name = request.match_info.get("namespace", ""), request.match_info["name"]
        self._check(request, "get", kind, kind.plural, namespace, name)
        for item in self._items(kind, namespace):
            if item["metadata"]["name"] == name:
                return _json({"kind": kind.kind, "apiVersion": kind.api_version, **item})
        raise not_found(kind.plural, kind.group, name)

    async def _summary(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        nodes = Kind("", "v1", "nodes", "Node", namespaced=False)
        self._check(request, "get", nodes, "nodes/proxy", "", name)
        if (summary := self.summary(name)) is None:
            raise not_found("nodes", "", name)
        return _json(summary)

    async def _log(self, request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        kind = Kind("", "v1", "pods", "Pod")
        self._check(request, "get", kind, "pods/log", namespace, name)
        if (pod := self._pods.get((namespace, name))) is None:
            raise not_found("pods", "", name)
        container = _container(pod, request.query.get("container", ""))
        seconds = _whole_number(request, "sinceSeconds")
        since = datetime.now(UTC) - timedelta(seconds=seconds) if seconds is not None else None
        if text := request.query.get("sinceTime"):
            since = datetime.fromisoformat(text)
        stamps = request.query.get("timestamps") == "true"
        reading = Reading(since, _whole_number(request, "tailLines"), _whole_number(request, "limitBytes"), stamps)
        return web.Response(body=pod.logs[container].read(reading), content_type="text/plain")

    def _kind(self, request: web.Request) -> Kind | None:
        asked = request.match_info
        kind = self._store.served(asked.get("group", ""), asked["version"], asked["plural"])
        return None if kind is None or ("namespace" in asked and not kind.namespaced) else kind

    def _check(self, request: web.Request, verb: str, kind: Kind, plural: str, namespace: str, name: str = "") -> None:  # noqa: PLR0917
        if plural in self._users.forbidden:
            raise forbidden(request[_USER], verb, plural, kind.group, namespace, name)

    def _items(self, kind: Kind, namespace: str) -> list[Manifest]:
        if kind.group == "metrics.k8s.io":
            return self.usage(kind.plural, namespace, kind.kind)
        return list(self._store.listed(kind, namespace))

    def _fresh(self, request: web.Request, kind: Kind, namespace: str) -> list[Manifest]:
        """The objects that the selectors of the question leave."""
        try:
            labels = by_labels(request.query.get("labelSelector", ""))
            text = request.query.get("fieldSelector", "")
            fields = by_fields(text, kind.plural) if text else lambda _: True
        except SelectorError as error:
            raise RefusedError(400, str(error)) from None
        return [item for item in self._items(kind, namespace) if labels(item) and fields(item)]

    def _begun(self, request: web.Request) -> list[Manifest]:
        """What is left of a list that was begun. A token that is too old is refused with 410."""
        rest = self._rest_of_lists.pop(request.query["continue"], None)
        if rest is None:
            raise RefusedError(410, "The provided continue parameter is too old to display a consistent list result.")
        return rest

    def _page(self, kind: Kind, items: list[Manifest], limit: int) -> Manifest:
        metadata: dict[str, Any] = {"resourceVersion": str(self._store.revision)}
        if 0 < limit < len(items):
            items, rest = items[:limit], items[limit:]
            metadata |= {"continue": secrets.token_urlsafe(24), "remainingItemCount": len(rest)}
            self._rest_of_lists[metadata["continue"]] = rest
            while len(self._rest_of_lists) > _LISTS_KEPT:
                del self._rest_of_lists[next(iter(self._rest_of_lists))]
        if not kind.custom:  # the real one names kind and version of custom objects only
            items = [{key: item[key] for key in item if key not in ("kind", "apiVersion")} for item in items]
        return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


def _json(value: Any) -> web.Response:
    return web.Response(body=document(value), content_type="application/json")


def _group(name: str, versions: list[str]) -> Manifest:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _whole_number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise RefusedError(400, f'unable to decode query parameter {name}: strconv.ParseInt: parsing "{text}"')
    return int(text)


def _container(pod: Pod, asked: str) -> str:
    """The container whose log is meant, if it ever ran."""
    if not asked and len(pod.containers) > 1:
        choice = " ".join(pod.containers)
        raise RefusedError(400, f"a container name must be specified for pod {pod.name}, choose one of: [{choice}]")
    name = asked or pod.containers[0]
    if name not in pod.logs:
        raise RefusedError(400, f"container {name} is not valid for pod {pod.name}")
    statuses = {status["name"]: status for status in pod.manifest["status"].get("containerStatuses") or ()}
    status = statuses.get(name, {})
    waiting = status.get("state", {}).get("waiting")
    if not status or (waiting and not status.get("lastState")):
        reason = (waiting or {}).get("reason", "ContainerCreating")
        raise RefusedError(400, f'container "{name}" in pod "{pod.name}" is waiting to start: {reason}')
    return name
