"""What the framework does not say of itself: who may ask, in which form errors come, headers, and what leads where."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from healthd.web.errors import PROBLEM

READS = ("get", "head")
TAGS = {
    "checks": "Systems, their checks, what they saw and measured, and running one now.",
    "incidents": "What is or was wrong, with timeline and evidence, and who took it.",
    "reports": "Checklist runs, and how available everything was.",
    "silences": "What people keep quiet for a while.",
    "maintenance windows": "Planned work on a system, announced ahead.",
    "attestations": "Tasks that people do and sign for.",
    "installation": "healthd itself: how it stands, what it does next, who changed what.",
}
BEARER = {"type": "http", "scheme": "bearer", "description": "HEALTHD_TOKEN"}
SINCE = {
    "name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "ETags of answers that are known: 304 where the answer is still one of them.",
}  # fmt: skip
TEXT: dict[str, Any] = {"schema": {"type": "string"}}
SECONDS: dict[str, Any] = {"schema": {"type": "integer", "minimum": 1}}
ETAG = {"ETag": {**TEXT, "description": "of this answer, weak"}}
HEADERS: dict[str, dict[str, Any]] = {
    "201": {"Location": {**TEXT, "required": True, "description": "where it is found from now on"}},
    "401": {"WWW-Authenticate": {**TEXT, "required": True}},
    "405": {"Allow": {**TEXT, "required": True, "description": "methods that the path takes"}},
    "429": {"Retry-After": {**SECONDS, "required": True, "description": "seconds"}},
    "503": {"Retry-After": {**SECONDS, "description": "seconds"}},
}
ID, SYSTEM, NAME = "$response.body#/id", "$response.body#/system", "$response.body#/name"
# (operation whose answer names something, its status, operations about that, where their parameters stand)
LINKS: tuple[tuple[str, str, tuple[str, ...], dict[str, str]], ...] = (
    ("add_silence", "201", ("get_silence", "end_silence"), {"silence_id": ID}),
    ("add_window", "201", ("get_window", "end_window"), {"window_id": ID}),
    ("attest", "200", ("get_attestation", "withdraw"), {"attestation": ID}),
    ("withdraw", "200", ("get_attestation", "attest"), {"attestation": ID}),
    ("get_incident", "200", ("acknowledge", "list_members", "get_postmortem"), {"incident_id": ID}),
    ("get_check", "200", ("list_outcomes", "get_history"), {"system": SYSTEM, "name": NAME}),
)


def describe(document: dict[str, Any], *, has_token: bool, read_open: bool) -> None:
    """Complete an OpenAPI document in place. `has_token`: whether one may help; `read_open`: and reading needs none."""
    parts = document["components"]
    if has_token:
        parts["securitySchemes"] = {"bearer": BEARER}
    for name in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(name, None)
    for schema in parts["schemas"].values():
        _without_empty_defaults(schema)
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    operations: dict[str, dict[str, Any]] = {}
    problems: dict[str, Any] = {}
    parts["responses"] = problems
    for methods in document["paths"].values():
        for method, operation in methods.items():
            is_read = method in READS
            _complete(operation, problems, is_read=is_read)
            if has_token and not (is_read and read_open):
                operation["security"] = [{"bearer": []}]
            operations[operation["operationId"]] = operation
    for source, status, targets, where in LINKS:
        links = {target: {"operationId": target, "parameters": where} for target in targets}
        operations[source]["responses"][status]["links"] = links


def _complete(operation: dict[str, Any], problems: dict[str, Any], *, is_read: bool) -> None:
    """`problems`: what is said of each status wherever it may come."""
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]  # what cannot be read is 400 here
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    if is_read:
        del responses["413"]
        operation.setdefault("parameters", []).append(SINCE)
        responses["200"]["headers"] = ETAG
        responses["304"] = {"description": "Not Modified", "headers": ETAG}
    else:
        responses["415"] = responses["400"]
    for status, said in responses.items():
        if status >= "400":
            name = HTTPStatus(int(status)).phrase.title().replace(" ", "").replace("-", "")
            problems[name] = _problem(status, said)
            responses[status] = {"$ref": f"#/components/responses/{name}"}
        elif status in HEADERS:
            said["headers"] = HEADERS[status]
    operation["responses"] = dict(sorted(responses.items()))


def _problem(status: str, said: dict[str, Any]) -> dict[str, Any]:
    (content,) = said["content"].values()
    headers = {"headers": HEADERS[status]} if status in HEADERS else {}
    return {"description": HTTPStatus(int(status)).phrase, "content": {PROBLEM: content}, **headers}


def _without_empty_defaults(schema: dict[str, Any]) -> None:
    """A text that is left out is empty here, and may not be sent empty where it has a form."""
    for field in schema.get("properties", {}).values():
        if field.get("default") == "" and ("pattern" in field or "format" in field):
            del field["default"]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """An address has no null: a parameter is there or it is not."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **options[0]}
