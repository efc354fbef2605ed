"""What the `http` probe can be told, as written in YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema, field_validator, model_validator

from healthd.model.conditions import Condition, ConditionError, parse_condition
from healthd.probes.base import Params
from healthd.probes.http.measures import MEASURES
from healthd.probes.http_auth import HttpAuth
from healthd.probes.http_headers import Headers, SecretText
from healthd.probes.json_path import JsonPath, parse_json_path
from healthd.probes.network import IpFamily
from healthd.probes.patterns import regular_expression
from healthd.probes.scale import UnitName
from healthd.probes.tls_options import TlsOptions

if TYPE_CHECKING:
    from healthd.probes.http.request import Request

StatusRange = tuple[int, int]


def _status(value: Any) -> tuple[StatusRange, ...]:
    """200, "2xx", "200-399", "200, 204" or a list of these."""
    if isinstance(value, str):
        value = value.split(",")
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ValueError("no status is expected: write one, such as 200 or 2xx")
    return tuple(item if isinstance(item, tuple) else _status_range(str(item).strip().lower()) for item in items)


def _status_range(text: str) -> StatusRange:
    if match := re.fullmatch(r"([1-5])xx", text):
        return int(match[1]) * 100, int(match[1]) * 100 + 99
    if match := re.fullmatch(r"(\d{3})(?:\s*-\s*(\d{3}))?", text):
        low, high = int(match[1]), int(match[2] or match[1])
        if 100 <= low <= high:
            return low, high
    raise ValueError(f"{text!r} is not a status: expected 200, 2xx, 200-399 or a list of these")


def _json_path(value: Any) -> JsonPath:
    return value if isinstance(value, JsonPath) else parse_json_path(str(value))


def _expectation(value: Any) -> Condition:
    """A condition ("= ok", ">= 3"), or a plain value, which must be equal."""
    if isinstance(value, Condition):
        return value
    if isinstance(value, bool):
        value = str(value).lower()
    text = str(value)
    try:
        return parse_condition(text)
    except ConditionError:
        if re.match(r"\s*([<>=!≤≥≠]|(not\s+)?in\s*[\[({]|(between|outside)\s+\S+\s+(and|to)\b)", text):
            raise
    return parse_condition(f"= {text}")


Status = Annotated[
    tuple[StatusRange, ...],
    BeforeValidator(_status),
    WithJsonSchema({"type": ["integer", "string", "array"], "items": {"type": ["integer", "string"]}}),
]
Pattern = Annotated[str, AfterValidator(regular_expression)]
Path = Annotated[Any, BeforeValidator(_json_path), WithJsonSchema({"type": "string", "examples": ["$.status"]})]
Expectation = Annotated[
    Any, BeforeValidator(_expectation), WithJsonSchema({"type": ["string", "number", "boolean"], "examples": ["= ok"]})
]


class Extraction(Params):
    """One measure out of the JSON body.

    `unit` is what the number is written in (`ms`, `MB`, `%`): the measure has its base unit. `series` is the member
    that names each match of a path with `[*]`, instead of its index.
    """

    path: Path
    unit: UnitName | None = None
    series: str | None = None


def _extraction(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class RequestParams(Params):
    """What is asked, and how: for all probes that ask a URL."""

    url: str = Field(repr=False)
    method: Annotated[str, AfterValidator(str.upper)] = Field("GET", pattern=r"^[A-Za-z]+$")
    headers: Headers = Field(default_factory=dict)
    body: SecretText | None = None
    body_json: Any = Field(None, repr=False)
    auth: HttpAuth | None = None

    follow_redirects: bool = True
    max_redirects: int = Field(10, ge=1, le=50)
    tls: TlsOptions = TlsOptions()
    ip: IpFamily = "any"
    proxy: SecretStr | None = None
    keepalive: bool = False

    @field_validator("url")
    @classmethod
    def _http_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"not a URL: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError("not a URL this probe can ask: expected http://host/path or https://host/path")
        if re.search(r"[\s\x00-\x1f]", url):
            raise ValueError("a URL holds no spaces or control characters: write them as %20")
        return url

    @model_validator(mode="after")
    def _one_request(self) -> Self:
        if self.body is not None and self.body_json is not None:
            raise ValueError("give one of body and body_json")
        if self.auth is not None and urlsplit(self.url).username is not None:
            raise ValueError("give the user in url or in auth, not in both")
        return self

    @cached_property
    def request(self) -> Request:
        """The request as the client sends it, made once."""
        from healthd.probes.http.request import Request

        return Request.of(self)


class HttpParams(RequestParams):
    """Parameters of the `http` probe: see docs/probes/http.md."""

    status: Status = ((200, 299),)
    expect_headers: Mapping[str, Pattern] = {}
    expect_json: Mapping[str, Expectation] = {}
    body_pattern: Pattern | None = None
    body_not_pattern: Pattern | None = None
    extract: Mapping[str, Annotated[Extraction, BeforeValidator(_extraction)]] = {}
    extract_headers: Mapping[str, str] = {}

    @field_validator("expect_json")
    @classmethod
    def _paths(cls, expected: Mapping[str, Any]) -> Mapping[str, Any]:
        for path in expected:
            parse_json_path(path)
        return expected

    @field_validator("extract", "extract_headers")
    @classmethod
    def _new_names(cls, extract: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in extract:
            if name in MEASURES:
                raise ValueError(f"{name!r} is a measure of the probe itself: choose another name, such as app_{name}")
            if not re.fullmatch(r"[A-Za-z_][\w.-]*", name):
                raise ValueError(f"{name!r} cannot name a measure: letters, digits and _ only")
        return extract

    @model_validator(mode="after")
    def _one_measure_each(self) -> HttpParams:
        if twice := sorted(self.extract.keys() & self.extract_headers.keys()):
            raise ValueError(f"{twice[0]!r} is in both extract and extract_headers")
        return self

    @property
    def needs_json(self) -> bool:
        """Whether the body must be JSON."""
        return bool(self.extract or self.expect_json)

    @property
    def watches_body(self) -> bool:
        """Whether `body_match` is measured."""
        return self.body_pattern is not None or self.body_not_pattern is not None
