"""A request as the client sends it, and what becomes of it on a redirect."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import inet_aton
from typing import TYPE_CHECKING

from multidict import CIMultiDict
from yarl import URL

from healthd import __version__
from healthd.model.outcomes import ProbeError
from healthd.model.redact import Redactor

if TYPE_CHECKING:
    from healthd.probes.http.params import RequestParams

_OURS = {"User-Agent": f"healthd/{__version__}", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}


class RedirectError(Exception):
    """A redirect that cannot be followed."""


@dataclass(frozen=True)
class Request:
    """Method, URL without user, headers, body. `secrets` must never be shown."""

    method: str
    url: URL
    headers: CIMultiDict[str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, params: RequestParams) -> Request:
        """The first request of a check. Raises ProbeError (kind config) when its URL has no usable host name."""
        try:
            url = URL(params.url)
        except ValueError as error:
            raise ProbeError(f"url: {error}", kind="config") from None
        headers = CIMultiDict(_OURS)
        body = params.body.get_secret_value().encode() if params.body is not None else None
        if params.body_json is not None:
            body = json.dumps(params.body_json).encode()
            headers["Content-Type"] = "application/json"
        if params.auth is not None:
            headers["Authorization"] = params.auth.header()
        elif url.user is not None:
            headers["Authorization"] = "Basic " + b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        headers.update({name: value.get_secret_value() for name, value in params.headers.items()})
        return cls(params.method, url.with_user(None), headers, body, tuple(_secrets(params, url)))

    @cached_property
    def shown(self) -> str:
        """The URL for people: without user and without the query, where secrets hide."""
        return shown(self.url)

    @cached_property
    def redact(self) -> Redactor:
        """Removes this request's secrets from a text."""
        return Redactor(self.secrets)

    def redirected(self, status: int, location: str, cookies: Mapping[str, str]) -> Request:
        """The request that follows a redirect, as browsers do it. `cookies` are those that came with the redirect.

        Another origin is not given what was meant for this one: credentials and the check's own headers stay behind.
        """
        try:
            url = self.url.join(URL(location))
        except ValueError:
            raise RedirectError("redirect to something that is not a URL") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise RedirectError(f"redirect to {shown(url)}, which is not HTTP")
        if _is_metadata(url.host) and url.host != self.url.host:
            raise RedirectError(f"redirect to {shown(url)}, where clouds keep credentials")
        method, body, headers = self.method, self.body, self.headers
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, body = "GET", None
            headers = CIMultiDict((k, v) for k, v in headers.items() if k.lower() != "content-type")
        if not _may_have_the_same(self.url, url):
            headers = CIMultiDict(_OURS)
        if cookies and url.host == self.url.host:
            headers = CIMultiDict(headers)
            pairs = [f"{name}={value}" for name, value in cookies.items()]
            headers["Cookie"] = "; ".join([*filter(None, [headers.get("Cookie")]), *pairs])
        return replace(self, method=method, url=url.with_user(None), body=body, headers=headers)


def _is_metadata(host: str) -> bool:
    """Where a cloud tells its machines their credentials: a check may look there, what it looks at may not send it."""
    try:
        address = ip_address(host) if ":" in host else IPv4Address(inet_aton(host))  # 2852039166 is one, too
    except (OSError, ValueError):
        return host.rstrip(".").lower() in ("metadata", "metadata.google.internal", "instance-data.ec2.internal")
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return address.is_link_local or str(address) == "fd00:ec2::254"


def _may_have_the_same(old: URL, new: URL) -> bool:
    """The same origin, or its move from http to https."""
    upgrade = (old.scheme, new.scheme) == ("http", "https") and old.is_default_port() and new.is_default_port()
    return old.host == new.host and (upgrade or (old.scheme, old.port) == (new.scheme, new.port))


def shown(url: URL) -> str:
    """A URL without its secrets."""
    bare = url.with_user(None) if url.host else url
    return str(bare.with_query(None).with_fragment(None)) + ("?..." if url.query_string else "")


def _secrets(params: RequestParams, url: URL) -> Iterator[str]:
    if params.auth is not None:
        yield from params.auth.secrets()
    if url.password:
        yield url.password
    yield from (value.get_secret_value() for value in params.headers.values())
    yield from (value for value in url.query.values() if len(value) >= 8)
    if params.body is not None:
        yield params.body.get_secret_value()
    if params.proxy is not None and (password := URL(params.proxy.get_secret_value()).password):
        yield password
