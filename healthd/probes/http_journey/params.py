"""What the `http_journey` probe can be told, as written in YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from healthd.probes.base import Params
from healthd.probes.http.params import HttpParams, Path, Pattern
from healthd.probes.http_auth import BasicAuth, HttpAuth
from healthd.probes.http_headers import Headers
from healthd.probes.http_journey.measures import MEASURES
from healthd.probes.http_journey.template import fill, fill_json, fill_url, references, tidy, whole
from healthd.probes.network import IpFamily
from healthd.probes.tls_options import TlsOptions

# made anew for each look: a test account needs a name that nobody has yet
GIVEN = ("run_id", "timestamp")
_STEPS_MAX = 50


class Capture(Params):
    """Where a value is in the answer: one of `json`, `header`, `cookie`; `regex` in the body, or in the header."""

    json_: Path | None = Field(None, alias="json")
    header: str | None = None
    cookie: str | None = None
    regex: Pattern | None = None
    secret: bool = True

    @model_validator(mode="after")
    def _one(self) -> Capture:
        places = [place for place in (self.json_, self.header, self.cookie) if place is not None]
        if len(places) > 1 or (self.regex is not None and self.header is None and places):
            raise ValueError("give one of json, header, cookie and regex; only header and regex go together")
        if not places and self.regex is None:
            raise ValueError("says not where the value is: json, header, cookie or regex")
        return self


def _capture(value: Any) -> Any:
    return {"json": value} if isinstance(value, str) else value


class Step(HttpParams):
    """One request and what its answer must be, as in the `http` probe; and what to take along from it."""

    name: str = Field(min_length=1, max_length=60)
    capture: Mapping[str, Annotated[Capture, BeforeValidator(_capture, json_schema_input_type=str | Capture)]] = Field(
        default_factory=dict
    )
    cleanup: bool = False

    @field_validator("url")
    @classmethod
    def _http_url(cls, url: str) -> str:
        url = tidy(url)
        return url if url.startswith("/") or whole(url) else HttpParams._http_url(url)

    @field_validator("capture")
    @classmethod
    def _names(cls, capture: Mapping[str, Capture]) -> Mapping[str, Capture]:
        for name in capture:
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError(f"{name!r} cannot name a value: letters, digits and _ only")
            if name in GIVEN:
                raise ValueError(f"{{{{{name}}}}} is given by healthd: choose another name")
        return capture

    def needs(self) -> Iterator[str]:
        """The names its request refers to."""
        yield from references(self.url)
        for value in self.headers.values():
            yield from references(value.get_secret_value())
        if self.body is not None:
            yield from references(self.body.get_secret_value())
        yield from references(self.body_json)
        if self.auth is not None:
            if self.auth.bearer is not None:
                yield from references(self.auth.bearer.get_secret_value())
            if self.auth.basic is not None:
                yield from references(self.auth.basic.username)
                yield from references(self.auth.basic.password.get_secret_value())

    def filled(self, values: Mapping[str, Any], common: JourneyParams) -> Step:
        """The step with its references filled in, and with what is `common` to all steps of the journey."""
        headers = {**common.headers, **self.headers}
        body = fill(self.body.get_secret_value(), values) if self.body is not None else None
        return self.model_copy(
            update={
                "url": fill_url(self.url, values),
                "headers": {k: SecretStr(fill(v.get_secret_value(), values)) for k, v in headers.items()},
                "body": SecretStr(body) if body is not None else None,
                "body_json": fill_json(self.body_json, values),
                "auth": _filled_auth(self.auth, values) if self.auth is not None else None,
                "tls": self.tls if "tls" in self.model_fields_set else common.tls,
                "ip": self.ip if "ip" in self.model_fields_set else common.ip,
                "proxy": self.proxy if "proxy" in self.model_fields_set else common.proxy,
            }
        )


def _filled_auth(auth: HttpAuth, values: Mapping[str, Any]) -> HttpAuth:
    if auth.bearer is not None:
        return HttpAuth(bearer=SecretStr(fill(auth.bearer.get_secret_value(), values)))
    assert auth.basic is not None
    password = SecretStr(fill(auth.basic.password.get_secret_value(), values))
    return HttpAuth(basic=BasicAuth(username=fill(auth.basic.username, values), password=password))


class JourneyParams(Params):
    """The steps, and what all of them have in common."""

    url: str | None = Field(None, repr=False)
    headers: Headers = Field(default_factory=dict)
    tls: TlsOptions = TlsOptions()
    ip: IpFamily = "any"
    proxy: SecretStr | None = None
    steps: tuple[Step, ...] = Field(min_length=1, max_length=_STEPS_MAX)

    @field_validator("url")
    @classmethod
    def _base(cls, url: str | None) -> str | None:
        if url is not None and (urlsplit(HttpParams._http_url(url)).query or "{{" in url):
            raise ValueError("the common beginning of the steps' URLs: expected https://host or https://host/prefix")
        return url.rstrip("/") if url is not None else None

    @model_validator(mode="after")
    def _consistent(self) -> JourneyParams:
        known, names, measures = set(GIVEN), set[str](), set(MEASURES)
        for step in self.steps:
            if step.name in names:
                raise ValueError(f"two steps are called {step.name!r}")
            if self.url is None and step is self.steps[0] and step.url.startswith("/"):
                raise ValueError(f"step {step.name!r}: {step.url} needs the journey's `url` before it")
            if missing := [name for name in step.needs() if name not in known]:
                raise ValueError(f"step {step.name!r}: no earlier step captures {{{{{missing[0]}}}}}")
            for name in (*step.extract, *step.extract_headers):
                if name in measures:
                    raise ValueError(f"step {step.name!r}: the measure {name!r} is taken")
                measures.add(name)
            names.add(step.name)
            known |= step.capture.keys()
        return self
