"""The emulated Docker engine's API on a socket: what probes and `docker ps`, `inspect`, `logs`, `stats`, `df` ask."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from healthd.sandbox.child import SandboxError
from healthd.sandbox.parts.docker.containers import Container
from healthd.sandbox.parts.docker.images import CacheEntry, Image, Volume

API_VERSION = "1.43"
_OLDEST = (1, 24)
_SOCKET_MAX = 107  # bytes, of a socket's path
_GIB = 2**30
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Engine:
    """One engine, listening on `socket`. What it holds may be changed at any time, also while it is stopped."""

    def __init__(self, socket: Path) -> None:
        if len(str(socket).encode()) > _SOCKET_MAX:
            raise SandboxError(f"{socket} is too long for a socket: choose a shorter TMPDIR")
        self.socket = socket
        self.url = f"unix://{socket}"
        self.containers: list[Container] = []
        self.images: list[Image] = []
        self.volumes: list[Volume] = []
        self.build_cache: list[CacheEntry] = []
        self._readable = True
        self._runner: web.AppRunner | None = None

    @property
    def running(self) -> bool:
        return self._runner is not None

    def service(
        self, project: str, service: str, *, image: str, depends_on: tuple[str, ...] = (), cpus: float | None = None
    ) -> Container:
        """Add a container as `docker compose up` makes it, with its image if that is not there yet."""
        container = Container(
            f"{project}-{service}-1", image, project=project, service=service, depends_on=depends_on, cpus=cpus
        )
        self.containers.append(container)
        if image not in (known.tag for known in self.images):
            self.images.append(Image(image, _GIB // 4, age_days=5))
        return container

    def container(self, service: str, project: str = "") -> Container:
        """The container of that service. SandboxError when it was removed."""
        for container in self.containers:
            if container.service == service and project in ("", container.project):
                return container
        raise SandboxError(f"there is no container of service {service}: mend what removed it first")

    def hide_logs(self) -> None:
        """Log to a driver that does not give back what it took."""
        self._readable = False

    def show_logs(self) -> None:
        """Log to a file again."""
        self._readable = True

    async def start(self) -> None:
        """Listen."""
        if self._runner is not None:
            return
        self.socket.unlink(missing_ok=True)
        application = web.Application(middlewares=[_as_the_engine_says_no])
        routes: dict[str, Handler] = {
            "/_ping": self._ping,
            "/version": self._version,
            "/containers/json": self._list,
            "/containers/{id}/json": self._inspect,
            "/containers/{id}/logs": self._logs,
            "/containers/{id}/stats": self._stats,
            "/images/json": self._images,
            "/volumes": self._volumes,
            "/system/df": self._disk,
        }
        for path, handler in routes.items():
            application.router.add_get(path, handler)
            application.router.add_get(rf"/v{{version:\d+\.\d+}}{path}", handler)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.socket)).start()

    async def stop(self) -> None:
        """Stop listening; the socket's file goes, as the engine's own does."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
            self.socket.unlink(missing_ok=True)

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="OK", headers={"Api-Version": API_VERSION, "Ostype": "linux"})

    async def _version(self, _: web.Request) -> web.Response:
        oldest = ".".join(map(str, _OLDEST))
        return web.json_response(
            {"Version": "24.0.0-sandbox", "ApiVersion": API_VERSION, "MinAPIVersion": oldest, "Os": "linux"}
        )

    async def _list(self, request: web.Request) -> web.Response:
        everything = request.query.get("all", "0").lower() in ("1", "true")
        shown = [c for c in self.containers if everything or c.state != "exited"]
        return web.json_response([container.listed() for container in shown])

    async def _inspect(self, request: web.Request) -> web.Response:
        return web.json_response(self._asked(request).inspected())

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(self._asked(request).statistics())

    async def _logs(self, request: web.Request) -> web.Response:
        query = request.query
        if not self._readable:
            raise web.HTTPNotImplemented(text="configured logging driver does not support reading")
        streams = frozenset(name for name in ("stdout", "stderr") if query.get(name, "0") in ("1", "true"))
        if not streams:
            raise web.HTTPBadRequest(text="Bad parameters: you must choose at least one stream")
        tail = query.get("tail", "all")
        frames = self._asked(request).log(
            streams,
            _moment(query.get("since", "0")),
            tail=int(tail) if tail.isdecimal() else None,
            timestamps=query.get("timestamps", "0") in ("1", "true"),
        )
        return web.Response(body=b"".join(frames), content_type="application/vnd.docker.raw-stream")

    async def _images(self, _: web.Request) -> web.Response:
        return web.json_response([image.listed(self._users(image)) for image in self.images])

    async def _volumes(self, _: web.Request) -> web.Response:
        return web.json_response({"Volumes": [volume.listed() for volume in self.volumes], "Warnings": None})

    async def _disk(self, _: web.Request) -> web.Response:
        layers = sum(image.size - image.shared for image in self.images)
        layers += max((image.shared for image in self.images), default=0)
        return web.json_response(
            {
                "LayersSize": layers,
                "Images": [image.listed(self._users(image)) for image in self.images],
                "Containers": [container.listed() for container in self.containers],
                "Volumes": [volume.listed() for volume in self.volumes],
                "BuildCache": [entry.listed() for entry in self.build_cache],
            }
        )

    def _users(self, image: Image) -> int:
        return sum(container.image == image.tag for container in self.containers)

    def _asked(self, request: web.Request) -> Container:
        """The container by its id, the beginning of that, or its name."""
        wanted = request.match_info["id"]
        for container in self.containers:
            if container.name == wanted or (len(wanted) >= 4 and container.id.startswith(wanted)):
                return container
        raise web.HTTPNotFound(text=f"No such container: {wanted}")


@web.middleware
async def _as_the_engine_says_no(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse versions as the engine does, and put every refusal into its JSON."""
    asked = request.match_info.get("version", API_VERSION)
    if _numbers(asked) > _numbers(API_VERSION):
        return _refusal(400, f"client version {asked} is too new. Maximum supported API version is {API_VERSION}")
    if _numbers(asked) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        return _refusal(400, f"client version {asked} is too old. Minimum supported API version is {oldest}")
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        known = refusal.text and not re.match(r"\d{3}: ", refusal.text)
        return _refusal(refusal.status, refusal.text or "" if known else "page not found")


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise web.HTTPBadRequest(text=f"invalid value for since: {text}") from None
