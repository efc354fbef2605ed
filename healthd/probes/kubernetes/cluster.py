"""One API server: the client that all checks on it share, and what it answered a moment ago."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.errors import RefusedError, explain_status
from healthd.probes.kubernetes.login import Client, log_in
from healthd.probes.kubernetes.params import ClusterParams
from healthd.probes.network import Resolver, no_answer, patience, shared_resolver

if TYPE_CHECKING:
    from aiohttp import ClientResponse

__all__ = ["ANSWER_KEPT", "Cluster", "cluster_of"]

T = TypeVar("T")
ANSWER_KEPT = 10.0  # seconds an answer is used again by checks that are not due together
_REQUESTS_AT_ONCE = 8
_ERROR_BODY_MAX = 64_000
_ATTEMPTS = 4
_WAIT_MAX = 5.0  # seconds: a server that wants more time than this is busy
_LOG_IN_MAX = 60.0  # seconds for a credential plugin; the check's timeout comes first
_RENEWED_AT_MOST_EVERY = 10.0  # seconds: a refused log-in is not tried anew with every question


class Cluster:
    """Asks one API server, as one user."""

    def __init__(self, params: ClusterParams, client: Client, resolver: Resolver) -> None:
        self._params, self._resolver = params, resolver
        self._client = client
        self._uses: Counter[Client] = Counter()
        self._renewed = -_RENEWED_AT_MOST_EVERY
        self._renewing = asyncio.Lock()
        self._slots = asyncio.Semaphore(_REQUESTS_AT_ONCE)
        self._answers: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}
        self._connect()

    @property
    def server(self) -> str:
        """Its address, for people."""
        return f"the API server {self._client.configuration.host}"

    async def recent(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer to a question if it is at most ten seconds old, else a new one. Failures are not kept."""
        now = time.monotonic()
        for old in [k for k, (at, answer) in self._answers.items() if answer.done() and now - at >= ANSWER_KEPT]:
            del self._answers[old]
        if key not in self._answers:
            answer = asyncio.ensure_future(ask())
            self._answers[key] = (now, answer)
            answer.add_done_callback(lambda done: self._forget_failure(key, done))
        return await asyncio.shield(self._answers[key][1])

    def _forget_failure(self, key: Hashable, answer: asyncio.Future[Any]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._answers.pop(key, None)

    @asynccontextmanager
    async def open(
        self,
        path: str,
        query: Mapping[str, Any],
        *,
        rule: Rule | None,
        absent: str = "",
        accept: str = "application/json",
    ) -> AsyncIterator[ClientResponse]:
        """The response to a GET, its body unread. Raises RefusedError for any status but 200 and 204 (no body)."""
        async with self._slots, AsyncExitStack() as use:
            response = await self._ask(path, query, accept, rule, absent, use=use)
            try:
                yield response
            finally:
                response.close() if not response.content.at_eof() else response.release()

    async def _ask(
        self, path: str, query: Mapping[str, Any], accept: str, rule: Rule | None, absent: str, *, use: AsyncExitStack
    ) -> ClientResponse:
        for attempt in range(_ATTEMPTS):
            client = await use.enter_async_context(self._using())
            response = await self._send(client, path, query, accept)
            if response.status in (200, 204):
                return response
            refused = await self._refused(response, rule, absent)
            if refused.status == 401 and await self._renew(client):
                continue
            wait = _wait(response, attempt)
            if wait is None:
                raise refused
            await asyncio.sleep(wait)
        raise refused

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[Client]:
        """The client. One that was replaced meanwhile is closed when nobody uses it any more."""
        client = self._client
        self._uses[client] += 1
        try:
            yield client
        finally:
            self._uses[client] -= 1
            if not self._uses[client]:
                del self._uses[client]
                if client is not self._client:
                    await _close(client)

    async def _send(self, client: Client, path: str, query: Mapping[str, Any], accept: str) -> ClientResponse:
        from aiohttp import ClientTimeout

        # a compressed answer costs the server and us more than it saves on a network of its own
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        method, url, headers, _, _ = await client.param_serialize(
            "GET", path, query_params=list(query.items()), header_params=headers, auth_settings=["BearerToken"]
        )
        answer = await client.rest_client.request(
            method, url, headers=headers, _request_timeout=ClientTimeout(total=None)
        )
        return answer.response  # type: ignore[no-any-return]

    async def _refused(self, response: ClientResponse, rule: Rule | None, absent: str) -> RefusedError:
        try:
            body = await response.content.read(_ERROR_BODY_MAX)
        finally:
            response.close()
        return explain_status(response.status, body, response.headers, rule=rule, absent=absent, server=self.server)

    async def _renew(self, used: Client) -> bool:
        """Log in anew: a token may have been replaced. False when that has just been tried."""
        async with self._renewing:
            if self._client is not used:
                return True
            if time.monotonic() - self._renewed < _RENEWED_AT_MOST_EVERY:
                return False
            self._renewed = time.monotonic()
            self._client = await log_in(self._params, _LOG_IN_MAX)
            self._connect()
        return True

    def _connect(self) -> None:
        """Give the client a connector that looks names up as all probes do."""
        from aiohttp import TCPConnector

        from healthd.probes.http.timings import TimedResolver

        connector = TCPConnector(
            limit=_REQUESTS_AT_ONCE,
            ssl=self._client.rest_client.ssl_context,
            resolver=TimedResolver(self._resolver),
            use_dns_cache=False,
        )
        session = {"connector": connector, "trust_env": True, "read_bufsize": 2**18}
        self._client.configuration.client_session_kwargs = session

    async def close(self) -> None:
        """Stop waiting for answers; close the connections."""
        for _, answer in self._answers.values():
            answer.cancel()
        await _close(self._client)


async def _close(client: Client) -> None:
    await client.close()
    await client.configuration.client_session_kwargs["connector"].close()


def _wait(response: ClientResponse, attempt: int) -> float | None:
    """Seconds until the same question is worth asking again; None when it is not."""
    if response.status != 429 or attempt == _ATTEMPTS - 1:
        return None
    try:
        wait = float(response.headers.get("Retry-After", "1"))
    except ValueError:
        return None
    return wait if 0 <= wait <= _WAIT_MAX else None


async def cluster_of(params: ClusterParams, context: ProbeContext) -> Cluster:
    """The shared Cluster of these parameters. Raises ProbeError (kind config) when there is no way to log in."""
    key = ("kubernetes", params.kubeconfig, params.context)
    known: Cluster | None = context.resources.peek(key)
    if known is not None:
        return known

    async def make() -> Cluster:
        resolver = await shared_resolver(context.resources)
        return Cluster(params, await log_in(params, _LOG_IN_MAX), resolver)

    try:
        async with asyncio.timeout(patience(context.timeout)):
            return await context.resources.get(key, make, Cluster.close)
    except TimeoutError:
        raise ProbeError(no_answer(context.timeout, "logging in to the cluster"), "timeout") from None


async def within(context: ProbeContext, cluster: Cluster, what: str, work: Awaitable[T]) -> T:
    """The result of `work` within the check's time. Raises ProbeError for everything the network can do."""
    import aiohttp

    from healthd.probes.http.failures import explain_client_error

    try:
        async with asyncio.timeout(patience(context.timeout)):
            return await work
    except TimeoutError:
        raise ProbeError(no_answer(context.timeout, f"{what}, {cluster.server}"), "timeout") from None
    except (aiohttp.ClientError, OSError) as error:
        host = urlsplit(cluster.server.rpartition(" ")[2]).hostname or ""
        words, kind = explain_client_error(error, host)
        raise ProbeError(f"{cluster.server}: {words}", kind) from None
