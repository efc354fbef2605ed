"""Asking one Docker engine: a few shared connections, and nothing but GET."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from healthd.probes.base import ProbeContext, ProbeError, Resources
from healthd.probes.docker.errors import RefusedError, explain_connection, explain_status
from healthd.probes.docker.facts import Container, Details, read_container, read_details
from healthd.probes.docker.params import EngineParams
from healthd.probes.network import no_answer, patience

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["Engine", "engine_of"]

# Versions of the API that are understood: the newest the engine has too is spoken.
_NEWEST, _OLDEST = (1, 47), (1, 24)
_AT_ONCE = 8  # requests
_ANSWER_MAX = 32_000_000  # bytes; a container is about 2 kB of a list
_REFUSAL_MAX = 16_000
_NOT_JSON = "the answer to {} of {} cannot be understood: is it a Docker engine?"


class Engine:
    """One engine, as far as probes may use it."""

    def __init__(self, params: EngineParams, session: ClientSession, *, owned: bool) -> None:
        self._params, self._session, self._owned = params, session, owned
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._prefix: str | None = None  # "/v1.41" once agreed

    async def json(self, path: str, context: ProbeContext, **query: str) -> Any:
        """The answer to a question, asked once for all checks of a batch. Raises ProbeError."""
        key = ("docker", self._params.identity(), path, *query.items())
        return await context.once(key, lambda: self.ask(path, context, query))

    async def containers(self, context: ProbeContext) -> list[Container]:
        """Every container there is, running or not, by name."""
        try:
            found = [read_container(item) for item in await self.json("/containers/json", context, all="1")]
        except (KeyError, TypeError, AttributeError):
            raise ProbeError(_NOT_JSON.format("GET /containers/json", self._params.url), "protocol") from None
        return sorted(found, key=lambda container: container.name)

    async def inspect(self, container: Container, context: ProbeContext) -> Details | None:
        """More about a container, None when it is gone."""
        try:
            return read_details(container, await self.json(f"/containers/{quote(container.id)}/json", context))
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ProbeError(_NOT_JSON.format("GET /containers/ID/json", self._params.url), "protocol") from None

    async def inspect_all(self, containers: list[Container], context: ProbeContext) -> list[Details]:
        """More about each that is still there."""
        found = await asyncio.gather(*(self.inspect(container, context) for container in containers))
        return [details for details in found if details is not None]

    @asynccontextmanager
    async def open(self, path: str, query: Mapping[str, str], context: ProbeContext) -> AsyncIterator[ClientResponse]:
        """The response to a GET, its body unread, within the check's time. Raises ProbeError."""
        import aiohttp

        try:
            async with (
                asyncio.timeout(patience(context.timeout)),
                self._slots,
                await self._ask(path, query) as response,
            ):
                yield response
        except TimeoutError:
            doing = f"asking the Docker engine {self._params.url} for {_generic(path)}"
            raise ProbeError(no_answer(context.timeout, doing), "timeout") from None
        except (aiohttp.ClientError, OSError) as error:
            raise explain_connection(error, self._params) from None

    async def ask(self, path: str, context: ProbeContext, query: Mapping[str, str]) -> Any:
        """The same, asked anew."""
        from healthd.probes.http.exchange import read_body

        try:
            async with self.open(path, query, context) as response:
                body, cut = await read_body(response, _ANSWER_MAX)
        except zlib.error:
            raise ProbeError(_NOT_JSON.format(f"GET {_generic(path)}", self._params.url), "protocol") from None
        if cut:
            raise ProbeError(f"the answer to GET {_generic(path)} is longer than {_ANSWER_MAX // 10**6} MB", "limit")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ProbeError(_NOT_JSON.format(f"GET {_generic(path)}", self._params.url), "protocol") from None

    async def _ask(self, path: str, query: Mapping[str, str]) -> ClientResponse:
        if self._prefix is None:
            self._prefix = await self._negotiate()
        response = await self._get(self._prefix + path, query)
        if response.status == 400 and self._prefix:  # the engine may have been replaced by another version
            refused = await self._refusal(response, path)
            if refused.kind != "unsupported" or (prefix := await self._negotiate()) == self._prefix:
                raise refused
            self._prefix = prefix
            response = await self._get(self._prefix + path, query)
        if response.status != 200:
            raise await self._refusal(response, path)
        return response

    async def _negotiate(self) -> str:
        response = await self._get("/_ping", {})
        try:
            if response.status == 403:  # a proxy in front that lets only some questions through
                return ""
            if response.status != 200:
                raise await self._refusal(response, "/_ping")
            offered = response.headers.get("Api-Version", "")
        finally:
            response.close()
        try:
            major, minor = (int(part) for part in offered.split("."))
        except ValueError:
            raise ProbeError(f"what answers at {self._params.url} is not a Docker engine", "protocol") from None
        if (major, minor) < _OLDEST:
            oldest = ".".join(map(str, _OLDEST))
            raise ProbeError(f"this Docker engine speaks API {offered}: {oldest} or newer is needed", "unsupported")
        version = min((major, minor), _NEWEST)
        return f"/v{version[0]}.{version[1]}"

    async def _get(self, path: str, query: Mapping[str, str]) -> ClientResponse:
        return await self._session.get(self._params.base() + path, params=query, allow_redirects=False)

    async def _refusal(self, response: ClientResponse, path: str) -> RefusedError:
        try:
            body = await response.content.read(_REFUSAL_MAX)
        finally:
            response.close()
        return explain_status(response.status, body, f"GET {_generic(path)}", self._params)

    async def close(self) -> None:
        """Hang up, if the connections are its own."""
        if self._owned:
            await self._session.close()


def _generic(path: str) -> str:
    """The question without the container's id: what a proxy must let through."""
    parts = path.split("/")
    return "/".join(["", "containers", "ID", *parts[3:]]) if path.startswith("/containers/") and parts[3:] else path


async def engine_of(params: EngineParams, resources: Resources) -> Engine:
    """The Engine shared by all checks with this address. Raises ProbeError (kind config)."""

    async def make() -> Engine:
        if params.socket:
            return Engine(params, _socket_session(params.socket), owned=True)
        from healthd.probes.http.exchange import session_for
        from healthd.probes.tls_options import TlsOptions

        session = await session_for(resources, params.tls or TlsOptions(), keepalive=True)
        return Engine(params, session, owned=False)

    return await resources.get(("docker", params.identity()), make, Engine.close)


def _socket_session(path: str) -> ClientSession:
    from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, HttpVersion10, UnixConnector

    return ClientSession(
        connector=UnixConnector(path, limit=_AT_ONCE),
        # without chunks: an engine sends every line of a log as one, which would cost twice as much as the line
        version=HttpVersion10,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None, sock_connect=None),  # each look has one limit for everything
        auto_decompress=False,
        read_bufsize=2**18,
    )
