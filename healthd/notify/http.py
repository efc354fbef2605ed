"""Sending over HTTP: the one place where connections are made and answers become ChannelError."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from healthd import __version__
from healthd.model.incidents import ChannelError
from healthd.model.redact import Redactor
from healthd.notify.options import Options, SecretUrl

__all__ = ["Accepted", "HttpSender", "Options", "SecretUrl", "encode", "parse_retry_after"]

MAX_ANSWER = 64 * 1024  # bytes
MAX_EXCERPT = 200  # characters of an answer quoted in an error
MAX_RETRY_AFTER = 3600.0  # seconds: no receiver may silence a channel for longer than this at a time
_TRANSIENT = frozenset({408, 425, 429})  # of the 4xx


def encode(payload: Any) -> bytes:
    """Compact JSON in UTF-8. Half characters (lone surrogates) become "?"."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A 2xx answer; `text` is the beginning of its body, cleaned for people, `body` all of it as it came."""

    status: int
    text: str
    body: bytes = b""


class HttpSender:
    """Posts JSON to one address. `secrets` (and the address behind its host) never appear in an error.

    The client is made on first use and kept: its connections are reused until `close`.
    """

    def __init__(
        self,
        url: SecretStr,
        *,
        now: Callable[[], datetime],
        timeout: timedelta,
        secrets: Collection[str] = (),
        advice: Mapping[str, str] | None = None,
        max_answer: int = MAX_ANSWER,
    ) -> None:
        self._url = url.get_secret_value()
        self._host = urlsplit(self._url).netloc.rpartition("@")[2]
        self._redact = Redactor([*secrets, self._url, *_parts(self._url)])
        self._now = now
        self._advice = advice or {}
        self._timeout = timeout.total_seconds()
        self._max_answer = max_answer
        self._client: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None, path: str = "") -> Accepted:
        """Send once, to what lies at `path` below the address. Returns when the answer is a 2xx of reasonable size;
        raises ChannelError otherwise."""
        client = await self._connected()
        try:
            async with asyncio.timeout(self._timeout):
                response, answer = await self._exchange(client, body, headers or {}, path)
        except (TimeoutError, httpx.TimeoutException):
            raise ChannelError(f"{self._host} did not answer within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise ChannelError(f"{self._host}: {self._redact(_describe(error))}") from None
        return self._judge(response, answer)

    async def close(self) -> None:
        """Close the connections; a later `post` opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _connected(self) -> httpx.AsyncClient:
        async with self._making:
            if self._client is None:
                # loading the certificate bundle takes tens of milliseconds: not on the event loop
                self._client = await asyncio.to_thread(
                    httpx.AsyncClient,
                    timeout=self._timeout,
                    follow_redirects=False,
                    headers={"User-Agent": f"healthd/{__version__}", "Accept-Encoding": "identity"},
                )
        return self._client

    async def _exchange(
        self, client: httpx.AsyncClient, body: bytes, headers: Mapping[str, str], path: str
    ) -> tuple[httpx.Response, bytes]:
        """The answer and the beginning of its body: at most one chunk more than its limit is ever read."""
        answer = b""
        sent = {"Content-Type": "application/json", **headers}
        async with client.stream("POST", self._url + path, content=body, headers=sent) as response:
            async for chunk in response.aiter_raw(self._max_answer):  # raw: a compressed answer is not blown up
                answer += chunk
                if len(answer) > self._max_answer:
                    break
        return response, answer

    def _judge(self, response: httpx.Response, answer: bytes) -> Accepted:
        status, text = response.status_code, self._excerpt(answer)
        if response.is_success:
            if len(answer) > self._max_answer:
                most = f"{self._max_answer // 1024} kB"
                raise ChannelError(f"{self._host} answered {status} with more than {most}: {text}")
            return Accepted(status, text, answer)
        reason = f"{self._host} answered {_status(status)}"
        if response.is_redirect:
            reason += f", a redirect to {_origin(response.headers.get('Location', ''))}, which is not followed"
        reason += f": {text}" if text else ""
        reason += next((f" ({advice})" for word, advice in self._advice.items() if word in text), "")
        transient = status >= 500 or status in _TRANSIENT
        retry_after = parse_retry_after(response.headers.get("Retry-After"), self._now()) if transient else None
        raise ChannelError(reason, retry_after=retry_after, permanent=not transient)

    def _excerpt(self, answer: bytes) -> str:
        # redacted before it is cut: half a secret would no longer be recognised
        text = self._redact(" ".join(_printable(answer[:8192]).split()))
        return text if len(text) <= MAX_EXCERPT else text[: MAX_EXCERPT - 1] + "…"


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait from a Retry-After header (seconds or a date, RFC 9110 10.2.3); None when it says nothing."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,18}(\.\d*)?\s*", value):  # whole seconds by the book; some servers add decimals
        return min(float(value), MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _parts(url: str) -> list[str]:
    """What may be secret in an address: credentials, path, query, and the longer segments of the path alone."""
    parts = urlsplit(url)
    segments = [segment for segment in parts.path.split("/") if len(segment) >= 8]
    whole = [part for part in (parts.path, parts.query) if len(part) >= 8]
    return [*whole, *segments, parts.username or "", parts.password or ""]


def _describe(error: Exception) -> str:
    """What went wrong on the wire, in words. Never the bytes that came: they may be anything."""
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return f"cannot connect: {_root(error)}"
    if isinstance(error, httpx.RemoteProtocolError):
        text = str(error)
        if "without sending a response" in text:
            return "closed the connection without an answer"
        if "without sending complete message body" in text:
            return "closed the connection in the middle of its answer"
        return "the answer is not HTTP"
    if isinstance(error, httpx.ReadError | httpx.WriteError | httpx.CloseError):
        return f"the connection broke: {_root(error)}"
    return f"sending failed: {type(error).__name__}"


def _root(error: BaseException) -> str:
    """The innermost error's words: httpx wraps the one that says something."""
    while (inner := _inner(error)) is not None:
        error = inner
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # the error's own words are asyncio's
    return getattr(error, "strerror", None) or str(error) or "no reason given"


def _inner(error: BaseException) -> BaseException | None:
    return error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or error.__context__


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _origin(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another path"


def _printable(answer: bytes) -> str:
    return "".join(c if c.isprintable() else " " for c in answer.decode("utf-8", "replace"))
