"""What the `websocket` probe can be told, as written in YAML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from healthd.model.redact import Redactor
from healthd.probes.base import Duration, OneOrMany, Params
from healthd.probes.http.params import Expectation, Pattern
from healthd.probes.http_auth import HttpAuth
from healthd.probes.http_headers import Headers, SecretText
from healthd.probes.json_path import parse_json_path
from healthd.probes.network import IpFamily
from healthd.probes.tls_options import TlsOptions

_QUERY_SECRET = 8  # a shorter value of a query is taken for no secret


class SocketIo(Params):
    """Speak Socket.IO (protocol 5, over Engine.IO 4): connect to a namespace, and send an event if one is given."""

    namespace: str = Field("/", pattern=r"^/[^,?\s]*$")
    auth: Mapping[str, SecretText] = Field(default_factory=dict)
    emit: str | None = Field(None, min_length=1)
    data: Any = Field(None, repr=False)
    answer: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _together(self) -> SocketIo:
        if self.data is not None and self.emit is None:
            raise ValueError("data goes with an event: name it under emit")
        return self

    def event(self) -> list[Any]:
        """What is sent: the event and its data, as arguments when it is a list."""
        if self.data is None:
            return [self.emit]
        return [self.emit, *(self.data if isinstance(self.data, list) else [self.data])]


class WebSocketParams(Params):
    """Parameters of the `websocket` probe: see docs/probes/websocket.md."""

    url: str = Field(repr=False)
    headers: Headers = Field(default_factory=dict)
    auth: HttpAuth | None = None
    origin: str | None = None
    subprotocols: OneOrMany = ()
    tls: TlsOptions = TlsOptions()
    ip: IpFamily = "any"
    proxy: SecretStr | None = None

    ping: bool = True
    send: SecretText | None = None
    send_json: Any = Field(None, repr=False)
    expect: Pattern | None = None
    expect_json: Mapping[str, Expectation] = {}
    socketio: SocketIo | None = None
    hold: Duration = timedelta(0)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"not a URL: {error}") from None
        if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname or port == 0:
            raise ValueError("not the address of a WebSocket: expected ws://host/path or wss://host/path")
        if parts.username is not None:
            raise ValueError("give the user and password under auth, not in url")
        return url

    @field_validator("expect_json")
    @classmethod
    def _paths(cls, expected: Mapping[str, Any]) -> Mapping[str, Any]:
        for path in expected:
            parse_json_path(path)
        return expected

    @model_validator(mode="after")
    def _consistent(self) -> WebSocketParams:
        if self.send is not None and self.send_json is not None:
            raise ValueError("give one of send and send_json")
        if self.socketio is None:
            return self
        if self.send is not None or self.send_json is not None:
            raise ValueError("with socketio a message is an event: write emit and data under socketio")
        if self.expects and self.socketio.emit is None and self.socketio.answer is None:
            raise ValueError("expect what? name the event under socketio: emit (to get its acknowledgement) or answer")
        return self

    @property
    def expects(self) -> bool:
        """Whether a message must be one of a certain kind."""
        return self.expect is not None or bool(self.expect_json)

    @property
    def exchanges(self) -> bool:
        """Whether `round_trip_time` is measured."""
        if self.socketio is not None:
            return self.socketio.emit is not None or self.socketio.answer is not None
        return self.expects

    def text(self) -> str | None:
        """The message to send."""
        if self.send is not None:
            return self.send.get_secret_value()
        return json.dumps(self.send_json) if self.send_json is not None else None

    def redactor(self) -> Redactor:
        """Removes this check's secrets from a text."""
        return Redactor(self._secrets())

    def _secrets(self) -> Iterator[str]:
        yield from (value.get_secret_value() for value in self.headers.values())
        yield from (v for _, v in parse_qsl(urlsplit(self.url).query) if len(v) >= _QUERY_SECRET)
        if self.auth is not None:
            yield from self.auth.secrets()
        if self.send is not None:
            yield self.send.get_secret_value()
        if self.proxy is not None and (password := urlsplit(self.proxy.get_secret_value()).password):
            yield password
        if self.socketio is not None:
            yield from (value.get_secret_value() for value in self.socketio.auth.values())
