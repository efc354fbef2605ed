"""What the `load_benchmark` probe can be told, and whom it may load."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from healthd.model.outcomes import ProbeError
from healthd.probes.base import Params
from healthd.probes.http.params import RequestParams, Status
from healthd.probes.http_auth import HttpAuth
from healthd.probes.http_headers import Headers
from healthd.probes.network import IpFamily
from healthd.probes.tls_options import TlsOptions

# the most that any catalogue can ask for
REQUESTS_MAX, CONCURRENCY_MAX, RATE_MAX = 100_000, 200, 5_000
_SETTING = "HEALTHD_ALLOWED_LOAD_HOSTS"
_PORTS = {"http": 80, "https": 443}


class LoadParams(Params):
    """The request, and how often it is made."""

    url: str = Field(repr=False)
    method: Literal["GET", "HEAD", "OPTIONS"] = "GET"
    headers: Headers = Field(default_factory=dict)
    auth: HttpAuth | None = None
    tls: TlsOptions = TlsOptions()
    ip: IpFamily = "any"
    proxy: SecretStr | None = None
    keepalive: bool = True
    status: Status = ((200, 299),)

    requests: int = Field(200, ge=1, le=REQUESTS_MAX)
    concurrency: int = Field(10, ge=1, le=CONCURRENCY_MAX)
    rate: float = Field(RATE_MAX, gt=0, le=RATE_MAX)

    @field_validator("url")
    @classmethod
    def _http_url(cls, url: str) -> str:
        return RequestParams._http_url(url)

    @model_validator(mode="after")
    def _one_user(self) -> LoadParams:
        if self.auth is not None and urlsplit(self.url).username is not None:
            raise ValueError("give the user in url or in auth, not in both")
        return self

    def as_request(self) -> RequestParams:
        """The request as the `http` probe would make it."""
        return RequestParams(
            url=self.url, method=self.method, headers=self.headers, auth=self.auth, tls=self.tls, ip=self.ip,
            proxy=self.proxy, keepalive=self.keepalive, follow_redirects=False,
        )  # fmt: skip


def require_allowed(url: str, allowed: Iterable[str]) -> None:
    """Raises ProbeError (kind forbidden) unless the settings name the host of the URL, alone or with its port."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    name = f"[{host}]" if ":" in host else host
    port = parts.port or _PORTS[parts.scheme]
    entries = {entry.lower() for entry in allowed}
    if entries & {host, name, f"{name}:{port}"}:
        return
    now = f" (now: {', '.join(sorted(entries))})" if entries else ""
    raise ProbeError(f"healthd may not put load on {name}:{port}: add {name}:{port} to {_SETTING}{now}", "forbidden")
