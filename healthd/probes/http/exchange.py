"""One exchange with a server: sessions, redirects, and a body that is read only so far."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientTimeout, CookieJar, DummyCookieJar
from multidict import CIMultiDict

from healthd.probes.base import Resources
from healthd.probes.http.params import RequestParams
from healthd.probes.http.request import RedirectError, Request
from healthd.probes.http.timings import TimedConnector, TimedResolver, TimedTls, Timings, timed_socket
from healthd.probes.network import FAMILIES, IpFamily, shared_resolver
from healthd.probes.tls_options import TlsOptions, tls_context

_HEADER_MAX = 65536  # bytes of one header; real ones (policies, cookies) do exceed the customary 8 kB
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(slots=True)
class Answer:
    """The final response. `body` is decompressed; `cut` says that there was more of it than the limit."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    cut: bool
    latency: float
    transfer: float


@dataclass(slots=True)
class Trail:
    """Where an exchange has been: kept outside of it, so that a failure can tell.

    `hops` are the redirects followed, as (status, request); `first_byte` is seconds, summed over them. Cookies of a
    `jar` are sent, and those that come are put into it, as a browser does.
    """

    request: Request
    hops: list[tuple[int, Request]] = field(default_factory=list)
    first_byte: float = 0.0
    began: float = field(default_factory=perf_counter)
    jar: CookieJar | None = None

    def headers(self) -> CIMultiDict[str]:
        """What the request that is next sends."""
        cookies = self.jar.filter_cookies(self.request.url) if self.jar is not None else None
        if not cookies:
            return self.request.headers
        headers = CIMultiDict(self.request.headers)
        pairs = [f"{name}={morsel.coded_value}" for name, morsel in cookies.items()]
        headers["Cookie"] = "; ".join([*filter(None, [headers.get("Cookie")]), *pairs])
        return headers


async def session_for(
    resources: Resources, tls: TlsOptions, ip: IpFamily = "any", *, keepalive: bool = False
) -> ClientSession:
    """The session shared by all checks that connect in the same way. Raises ProbeError (kind config)."""
    key = ("http", tls.identity(), ip, keepalive)
    shared: ClientSession | None = resources.peek(key)
    if shared is not None:
        return shared

    async def make() -> ClientSession:
        context = await tls_context(tls, resources)
        context.sslobject_class = TimedTls
        connector = TimedConnector(
            limit=0,
            force_close=not keepalive,
            family=FAMILIES[ip],
            resolver=TimedResolver(await shared_resolver(resources)),
            use_dns_cache=False,  # the resolver keeps names itself, for all probes
            ssl=context,
            socket_factory=timed_socket,
        )
        return ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=None, sock_connect=None),  # the probe has one limit for everything
            auto_decompress=False,  # a small answer must not be able to fill the memory
            max_line_size=_HEADER_MAX,
            max_field_size=_HEADER_MAX,
        )

    return await resources.get(key, make, ClientSession.close)


async def exchange(session: ClientSession, params: RequestParams, trail: Trail, timings: Timings, limit: int) -> Answer:
    """Ask, follow redirects, read at most `limit` bytes of body. Raises aiohttp's errors, OSError, RedirectError."""
    options: dict[str, Any] = {"allow_redirects": False}
    if params.tls.server_name is not None:
        options["server_hostname"] = params.tls.server_name
    if params.proxy is not None:
        options["proxy"] = params.proxy.get_secret_value()
    while True:
        request = trail.request
        async with session.request(
            request.method, request.url, headers=trail.headers(), data=request.body, **options
        ) as response:
            headers_at = perf_counter()
            if trail.jar is not None:
                trail.jar.update_cookies(response.cookies, request.url)
            trail.first_byte += headers_at - timings.ready_at
            if params.follow_redirects and response.status in _REDIRECTS and "Location" in response.headers:
                _follow(trail, response, params.max_redirects)
                response.close()
                continue
            timings.stage = "reading the body"
            body, cut = await read_body(response, limit)
            done = perf_counter()
            return Answer(
                response.status, response.reason or "", response.headers, body, cut,
                latency=done - trail.began, transfer=done - headers_at,
            )  # fmt: skip


def _follow(trail: Trail, response: ClientResponse, most: int) -> None:
    trail.hops.append((response.status, trail.request))
    if len(trail.hops) > most:
        raise RedirectError(f"more than {most} redirects")
    cookies = {n: m.value for n, m in response.cookies.items()} if trail.jar is None else {}
    trail.request = trail.request.redirected(response.status, response.headers["Location"], cookies)


async def read_body(response: ClientResponse, limit: int) -> tuple[bytes, bool]:
    """The body up to `limit` bytes after decompression, and whether it was cut there."""
    decode = _decoder(response.headers.get("Content-Encoding"))
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        chunk = decode(chunk, limit + 1 - size) if decode is not None else chunk
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            response.close()
            return b"".join(chunks)[:limit], True
    return b"".join(chunks), False


def _decoder(encoding: str | None) -> Callable[[bytes, int], bytes] | None:
    """Decompresses a chunk to at most so many bytes: a bomb stops at the limit, not in memory."""
    match (encoding or "").strip().lower():
        case "gzip" | "x-gzip":
            return zlib.decompressobj(wbits=31).decompress
        case "deflate":
            return _Deflate().decompress
        case _:
            return None


class _Deflate:
    """HTTP's deflate is zlib by the standard, and raw deflate from some servers: the first byte tells."""

    def __init__(self) -> None:
        self._inner: Any = None

    def decompress(self, data: bytes, most: int) -> bytes:
        """The next part."""
        if self._inner is None:
            self._inner = zlib.decompressobj(wbits=15 if data[0] & 0x0F == 8 else -15)
        return self._inner.decompress(data, most)  # type: ignore[no-any-return]
