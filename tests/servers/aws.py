"""AWS on loopback: moto's server over real HTTP, which can be told what to answer where it knows no better.

`moto` is the worker's server; `MotoServer` starts more. Everything asked of it is recorded.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

REGION = "eu-central-1"
KEYS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI/EXAMPLEKEY"}
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/(?P<service>[^/]+)/")
_SIGNED_AS = {"monitoring": "cloudwatch", "elasticloadbalancing": "elbv2"}
_ERROR_XML = "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>"
_ERROR_REST = "<Error><Code>{}</Code><Message>{}</Message></Error>"
_ERROR_EC2 = "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors></Response>"


@dataclass(frozen=True, slots=True)
class Refusal(Exception):  # noqa: N818 - an answer of a server, not a mistake of ours
    """An error answer as AWS gives it."""

    code: str
    message: str = ""
    status: int = 400


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `parameters` are those of the JSON and query protocols."""

    service: str
    operation: str
    parameters: dict[str, Any]


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
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    signed = scope["service"] if scope else ""
    service = _SIGNED_AS.get(signed, signed)
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return Asked(service, target.rpartition(".")[2], json.loads(body or b"{}"))
    if b"Action=" in body:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        return Asked(service, form.pop("Action"), form)
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", ""), True).items()}
    return Asked(service, _rest_operation(service, environ, query), query)


def _rest_operation(service: str, environ: WSGIEnvironment, query: dict[str, str]) -> str:
    """The operation of a REST protocol: the one whose method, path and fixed query words fit best; "" for none."""
    from botocore.session import get_session

    if not service:
        return ""
    model = get_session().get_service_model(service)
    path, found = environ.get("PATH_INFO", "").strip("/"), (-1, "")
    for name in model.operation_names:
        http = model.operation_model(name).http
        pattern, _, words = http["requestUri"].strip("/").partition("?")
        needed = {word.partition("=")[0] for word in words.split("&") if word}
        expression = re.sub(r"\\{\w+\\\+\\}", ".+", re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)))
        if http["method"] == environ["REQUEST_METHOD"] and needed <= query.keys() and re.fullmatch(expression, path):
            found = max(found, (len(needed), name))
    return found[1]


def _respond(asked: Asked, answer: Answer) -> tuple[int, dict[str, str], bytes]:
    from moto.core.serialize import get_serializer_class
    from moto.core.utils import get_service_model

    model = get_service_model(asked.service)
    protocol = model.resolved_protocol
    try:
        result = answer(asked.parameters)
    except Refusal as refusal:
        return _refuse(protocol, refusal)
    found = get_serializer_class(asked.service, protocol)(model.operation_model(asked.operation)).serialize(result)
    body = found["body"]
    headers = {str(name): str(value) for name, value in found["headers"].items()}
    return found["status_code"], headers, body.encode() if isinstance(body, str) else body


def _refuse(protocol: str, refusal: Refusal) -> tuple[int, dict[str, str], bytes]:
    if protocol == "json":
        said = json.dumps({"__type": refusal.code, "message": refusal.message})
        return refusal.status, {"Content-Type": "application/x-amz-json-1.1"}, said.encode()
    form = {"rest-xml": _ERROR_REST, "ec2": _ERROR_EC2}.get(protocol, _ERROR_XML)
    return refusal.status, {"Content-Type": "text/xml"}, form.format(refusal.code, refusal.message).encode()


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
