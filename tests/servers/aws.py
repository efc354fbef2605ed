"""AWS on loopback: moto's server over real HTTP, which can be told what to answer where it knows no better.

`moto` is the worker's server; `MotoServer` starts more. Everything asked of it is recorded.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from healthd.sandbox.parts.aws.wire import Asked, Refusal, read_request, refuse, rest_operation, write_answer

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

REGION = "eu-central-1"
KEYS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI/EXAMPLEKEY"}

Answer = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class MotoServer:
    """moto, and `answers` for what it should say instead: by service and operation ("*": any of a service).

    An answer is made from the request's parameters, as boto3 would return it, or raises Refusal.
    """

    asked: list[Asked] = field(default_factory=list)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    _server: BaseWSGIServer | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        assert self._server is not None, "not started"
        return f"http://127.0.0.1:{self._server.port}"

    def client(self, service: str, **options: Any) -> Any:
        """A plain boto3 client that may do anything: for setting the scene."""
        import boto3

        return boto3.client(service, endpoint_url=self.url, **{"region_name": REGION, **KEYS, **options})

    def count(self, service: str, operation: str = "") -> int:
        """How often that was asked."""
        return sum(a.service == service and operation in ("", a.operation) for a in self.asked)

    def start(self) -> Self:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=MotoRequestHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="moto", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application."""
        asked = _read(environ)
        self.asked.append(asked)
        answer = self.answers.get((asked.service, asked.operation)) or self.answers.get((asked.service, "*"))
        if answer is None:
            return self._moto(environ, start_response)  # type: ignore[no-any-return,no-untyped-call]
        status, headers, body = _respond(asked, answer)
        start_response(f"{status} Scripted", [*headers.items(), ("Content-Length", str(len(body)))])
        return [body]


def _read(environ: WSGIEnvironment) -> Asked:
    """Which operation it is, and its parameters where they are in the body. The body can be read once more."""
    asked = read_request(environ)
    return asked if asked.operation else Asked(asked.service, rest_operation(asked, environ), asked.parameters)


def _respond(asked: Asked, answer: Answer) -> tuple[int, dict[str, str], bytes]:
    try:
        return write_answer(asked, answer(dict(asked.parameters)))
    except Refusal as refusal:
        return refuse(asked, refusal)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[MotoServer]:
    """The worker's one server."""
    with MotoServer() as server:
        yield server


@pytest.fixture
def moto(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> MotoServer:
    """The worker's server, empty again; the environment holds credentials for it and nothing else of AWS."""
    import httpx

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["aws_secret_access_key"])
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    moto_server.answers.clear()
    httpx.post(f"{moto_server.url}/moto-api/reset")
    moto_server.asked.clear()
    return moto_server
