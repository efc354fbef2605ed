"""Requests and answers of AWS' protocols: which operation is asked, and an answer as AWS would write it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

__all__ = ["Asked", "Refusal", "parse_answer", "read_request", "refuse", "rest_operation", "write_answer"]

Response = tuple[int, dict[str, str], bytes]
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
    """One request. `operation` is "" for REST protocols, `parameters` those of the JSON and query protocols."""

    service: str
    operation: str
    parameters: Mapping[str, Any]


def read_request(environ: dict[str, Any]) -> Asked:
    """What a WSGI request asks. Its body can be read once more."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    signed = scope["service"] if scope else ""
    service = _SIGNED_AS.get(signed, signed)
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return Asked(service, target.rpartition(".")[2], json.loads(body or b"{}"))
    if "urlencoded" in environ.get("CONTENT_TYPE", "") and b"Action=" in body:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        return Asked(service, form.pop("Action"), form)
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", ""), True).items()}
    return Asked(service, "", query)


def rest_operation(asked: Asked, environ: Mapping[str, Any]) -> str:
    """The operation of a REST protocol: the one whose method, path and fixed query words fit best; "" for none."""
    from moto.core.utils import get_service_model

    if not asked.service:
        return ""
    model = get_service_model(asked.service)
    path, found = environ.get("PATH_INFO", "").strip("/"), (-1, "")
    for name in model.operation_names:
        http = model.operation_model(name).http
        pattern, _, words = http["requestUri"].strip("/").partition("?")
        needed = {word.partition("=")[0] for word in words.split("&") if word}
        expression = re.sub(r"\\{\w+\\\+\\}", ".+", re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)))
        if (
            http["method"] == environ["REQUEST_METHOD"]
            and needed <= asked.parameters.keys()
            and re.fullmatch(expression, path)
        ):
            found = max(found, (len(needed), name))
    return found[1]


def write_answer(asked: Asked, result: Mapping[str, Any]) -> Response:
    """`result`, as boto3 would return it, as the service sends it."""
    from moto.core.serialize import get_serializer_class
    from moto.core.utils import get_service_model

    model = get_service_model(asked.service)
    serializer = get_serializer_class(asked.service, model.resolved_protocol)(model.operation_model(asked.operation))
    found = serializer.serialize(result)
    body = found["body"]
    headers = {str(name): str(value) for name, value in found["headers"].items()}
    return found["status_code"], headers, body.encode() if isinstance(body, str) else body


def parse_answer(asked: Asked, response: Response) -> dict[str, Any]:
    """What boto3 would make of a response."""
    from botocore.parsers import create_parser
    from botocore.session import get_session

    model = get_session().get_service_model(asked.service)
    status, headers, body = response
    raw = {"status_code": status, "headers": headers, "body": body, "context": {}}
    shape = model.operation_model(asked.operation).output_shape
    found: dict[str, Any] = create_parser(model.resolved_protocol).parse(raw, shape)
    found.pop("ResponseMetadata", None)
    return found


def refuse(asked: Asked, refusal: Refusal) -> Response:
    """An error as the service's protocol has it."""
    from moto.core.utils import get_service_model

    protocol = get_service_model(asked.service).resolved_protocol
    if protocol == "json":
        said = json.dumps({"__type": refusal.code, "message": refusal.message})
        return refusal.status, {"Content-Type": "application/x-amz-json-1.1"}, said.encode()
    form = {"rest-xml": _ERROR_REST, "ec2": _ERROR_EC2}.get(protocol, _ERROR_XML)
    return refusal.status, {"Content-Type": "text/xml"}, form.format(refusal.code, refusal.message).encode()
