"""Asking HTTP APIs that answer with JSON. Reads only; every answer is bounded in time and size."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import Field, field_validator

from healthd.model.outcomes import ProbeError
from healthd.model.redact import Redactor
from healthd.model.units import Unit, format_value
from healthd.probes.base import Params, ProbeContext
from healthd.probes.http_auth import HttpAuth
from healthd.probes.http_headers import Headers
from healthd.probes.network import no_answer, patience
from healthd.probes.tls_options import TlsOptions

_URL_MAX = 2000  # a longer question is sent as a form


class ApiParams(Params):
    """Where the API is and how to be let in."""

    url: str = Field(repr=False)
    auth: HttpAuth | None = None
    headers: Headers = Field(default_factory=dict)
    tls: TlsOptions = TlsOptions()

    @field_validator("url")
    @classmethod
    def _base(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not the address of a server: expected http://host:9090 or https://host/prefix")
        if parts.username is not None:
            raise ValueError("give the user and password under auth, not in url")
        if parts.query or "/api/v" in parts.path:
            raise ValueError("give the address of the server only, without /api/... and ?...")
        return url.rstrip("/")

    def sent_headers(self) -> dict[str, str]:
        """Header names to values: secrets."""
        sent = {"Accept": "application/json"}
        if self.auth is not None:
            sent["Authorization"] = self.auth.header()
        return sent | {name: value.get_secret_value() for name, value in self.headers.items()}

    def secrets(self) -> list[str]:
        """Everything that must not be shown."""
        known = [value.get_secret_value() for value in self.headers.values()]
        return [*known, *(self.auth.secrets() if self.auth is not None else ())]

    def redact(self, text: str) -> str:
        """`text` without this check's secrets."""
        return Redactor(self.secrets())(text)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with any status. `document` is None when it is not JSON."""

    status: int
    headers: Mapping[str, str]
    document: Any


async def fetch(
    server: ApiParams, path: str, form: Mapping[str, str], context: ProbeContext, most: int | None = None
) -> Reply:
    """The answer, asked once for all checks of a batch; at most `most` bytes. Raises ProbeError."""
    key = ("json", server.url, path, *form.items(), *server.sent_headers().items(), server.tls.identity())
    limit = most if most is not None else context.limits.max_body_bytes
    return await context.once(key, lambda: _fetch(server, path, form, context, limit))


async def _fetch(server: ApiParams, path: str, form: Mapping[str, str], context: ProbeContext, limit: int) -> Reply:
    import aiohttp

    from healthd.probes.http.exchange import read_body, session_for
    from healthd.probes.http.failures import explain_client_error

    session = await session_for(context.resources, server.tls, keepalive=True)
    encoded = urlencode(form)
    method, url, body = ("GET", f"{server.url}{path}" + (f"?{encoded}" if form else ""), None)
    headers = server.sent_headers()
    if len(url) > _URL_MAX:
        method, url, body = ("POST", f"{server.url}{path}", encoded)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        async with (
            asyncio.timeout(patience(context.timeout)),
            session.request(method, _as_it_is(url), data=body, headers=headers, allow_redirects=False) as response,
        ):
            content, cut = await read_body(response, limit)
            return Reply(response.status, response.headers, _read(content, cut))
    except TimeoutError:
        raise ProbeError(no_answer(context.timeout, f"asking {server.url}"), kind="timeout") from None
    except zlib.error:
        raise ProbeError(f"{server.url}: the answer cannot be decompressed", kind="protocol") from None
    except (aiohttp.ClientError, OSError) as error:
        host = urlsplit(server.url).hostname or ""
        words, kind = explain_client_error(error, host)
        raise ProbeError(server.redact(f"{server.url}: {words}"), kind=kind) from None


def _as_it_is(url: str) -> Any:
    from yarl import URL

    return URL(url, encoded=True)


def _read(content: bytes, cut: bool) -> Any:
    if cut:
        size = format_value(len(content), Unit.BYTES)
        raise ProbeError(f"the answer is longer than {size}: ask for less, or aggregate", kind="limit")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def refusal(server: ApiParams, status: int) -> ProbeError:
    """What to raise for an answer that is no good and says no more by itself."""
    if status in (401, 403):
        kind = "auth" if status == 401 else "forbidden"
        return ProbeError(f"{server.url} refused access (status {status})", kind=kind)
    if status == 429:
        return ProbeError(f"{server.url} was asked too often (status 429)", kind="limit")
    if 200 <= status < 300:
        return ProbeError(f"{server.url} did not answer with JSON: is this its address?", kind="protocol")
    return ProbeError(f"{server.url} answered with status {status}", kind="protocol")
