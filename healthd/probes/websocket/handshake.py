"""Opening a WebSocket on the shared connections' settings, without following redirects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import (
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    DummyCookieJar,
    TraceConfig,
    TraceRequestRedirectParams,
    WSServerHandshakeError,
)

from healthd import __version__
from healthd.probes.base import ProbeContext
from healthd.probes.http.exchange import session_for
from healthd.probes.websocket.packets import socketio_url
from healthd.probes.websocket.params import WebSocketParams

_CLOSING = 0.2  # seconds the server has to say goodbye


class UnexpectedError(Exception):
    """An answer that is not as expected. `status` when it was the handshake's."""

    def __init__(self, note: str, status: int | None = None) -> None:
        super().__init__(note)
        self.status = status


@asynccontextmanager
async def connected(params: WebSocketParams, context: ProbeContext) -> AsyncIterator[ClientWebSocketResponse]:
    """An open WebSocket, closed at the end. Raises UnexpectedError, aiohttp's errors, OSError."""
    shared = await session_for(context.resources, params.tls, params.ip)
    async with ClientSession(
        connector=shared.connector,
        connector_owner=False,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None, sock_connect=None),
        trace_configs=[_no_redirects()],
    ) as session:
        try:
            socket = await session.ws_connect(
                params.url if params.socketio is None else socketio_url(params.url),
                headers=_headers(params),
                protocols=params.subprotocols,
                origin=params.origin,
                server_hostname=params.tls.server_name,
                proxy=params.proxy.get_secret_value() if params.proxy is not None else None,
                autoping=False,
                timeout=ClientWSTimeout(ws_close=_CLOSING),
                max_msg_size=context.limits.max_body_bytes,
            )
        except WSServerHandshakeError as error:
            raise _refused(error) from None
        async with socket:
            yield socket


def _headers(params: WebSocketParams) -> dict[str, str]:
    headers = {"User-Agent": f"healthd/{__version__}"}
    if params.auth is not None:
        headers["Authorization"] = params.auth.header()
    return headers | {name: value.get_secret_value() for name, value in params.headers.items()}


def _no_redirects() -> TraceConfig:
    """Browsers follow none for a WebSocket; and nobody else may be given our headers."""

    async def refuse(_session: Any, _context: Any, redirect: TraceRequestRedirectParams) -> None:
        status = redirect.response.status
        redirect.response.close()
        raise UnexpectedError(f"status {status}, expected 101: a redirect", status)

    trace = TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


def _refused(error: WSServerHandshakeError) -> UnexpectedError:
    if error.status != 101:
        return UnexpectedError(f"status {error.status}, expected 101: no WebSocket was opened", error.status)
    return UnexpectedError(f"not a WebSocket handshake: {error.message.lower()}", error.status)
