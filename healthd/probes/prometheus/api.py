"""Asking the HTTP API of Prometheus or Alertmanager. Reads only; every answer is bounded in time and size."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
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

    def redact(self, text: str) -> str:
        """`text` without this check's secrets."""
        known = [value.get_secret_value() for value in self.headers.values()]
        return Redactor([*known, *(self.auth.secrets() if self.auth is not None else ())])(text)


async def ask(server: ApiParams, path: str, form: Mapping[str, str], context: ProbeContext) -> Any:
    """The JSON answer, asked once for all checks of a batch. Raises ProbeError."""
    key = ("prometheus", server.url, path, *form.items(), *server.sent_headers().items(), server.tls.identity())
    return await context.once(key, lambda: _ask(server, path, form, context))


async def _ask(server: ApiParams, path: str, form: Mapping[str, str], context: ProbeContext) -> Any:
    import aiohttp

    from healthd.probes.http.exchange import read_body, session_for
    from healthd.probes.http.failures import explain_client_error

    session = await session_for(context.resources, server.tls, keepalive=True)
    encoded = urlencode(form)
    method, url, body = ("GET", f"{server.url}{path}?{encoded}", None)
    headers = server.sent_headers()
    if len(url) > _URL_MAX:
        method, url, body = ("POST", f"{server.url}{path}", encoded)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        async with (
            asyncio.timeout(patience(context.timeout)),
            session.request(method, _as_it_is(url), data=body, headers=headers, allow_redirects=False) as response,
        ):
            content, cut = await read_body(response, context.limits.max_body_bytes)
            return _read(server, response.status, content, cut)
    except TimeoutError:
        raise ProbeError(no_answer(context.timeout, f"asking {server.url}"), kind="timeout") from None
    except (aiohttp.ClientError, OSError) as error:
        host = urlsplit(server.url).hostname or ""
        words, kind = explain_client_error(error, host)
        raise ProbeError(server.redact(f"{server.url}: {words}"), kind=kind) from None


def _as_it_is(url: str) -> Any:
    from yarl import URL

    return URL(url, encoded=True)


def _read(server: ApiParams, status: int, content: bytes, cut: bool) -> Any:
    if cut:
        size = format_value(len(content), Unit.BYTES)
        raise ProbeError(f"the answer is longer than {size}: ask for less, or aggregate", kind="limit")
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if 200 <= status < 300 and answer is not None:
        return answer
    raise _refusal(server, status, answer)


def _refusal(server: ApiParams, status: int, answer: Any) -> ProbeError:
    if isinstance(answer, dict) and isinstance(answer.get("error"), str):
        said = server.redact(answer["error"])[:500]
        kind = {"bad_data": "config", "timeout": "timeout"}.get(str(answer.get("errorType")), "protocol")
        return ProbeError(f"{server.url} refused the question: {said}", kind=kind)
    if status in (401, 403):
        return ProbeError(
            f"{server.url} refused access (status {status})", kind="auth" if status == 401 else "forbidden"
        )
    if 200 <= status < 300:
        return ProbeError(f"{server.url} did not answer with JSON: is this its address?", kind="protocol")
    return ProbeError(f"{server.url} answered with status {status}", kind="protocol")
