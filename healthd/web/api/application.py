"""The API as an application of its own: routes, errors as JSON, its description as a page without foreign assets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from healthd import __version__
from healthd.store.base import StoreError
from healthd.web.api import attestations, checks, incidents, installation, reports, silences, windows
from healthd.web.api.description import describe
from healthd.web.api.models import Error
from healthd.web.api.parameters import unknown_parameters
from healthd.web.desk import Desk
from healthd.web.errors import answer, unexpected
from healthd.web.problem import RequestError
from healthd.web.views import page

DESCRIPTION = """\
Reads are open unless HEALTHD_READ_OPEN is false; whatever changes something needs
`Authorization: Bearer <HEALTHD_TOKEN>`. Times are RFC 3339 in UTC. Values are in base units (seconds, bytes, ratio).
Errors are problems (RFC 9457): `{"title", "status", "detail", "hint"?}`. Lists are given page by page: `next` of an
answer, given as `after`, continues it."""
EVERYWHERE = (400, 401, 404, 405, 413, 421, 429, 431, 503)  # may be said to anybody


def create_api(desk: Desk) -> FastAPI:
    """To be mounted under /api."""
    api = FastAPI(
        title="healthd", version=__version__, description=DESCRIPTION, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json", servers=[{"url": "/api"}], root_path_in_servers=False,
        dependencies=[unknown_parameters],
        responses={status: {"model": Error} for status in EVERYWHERE},
        generate_unique_id_function=lambda route: route.name, separate_input_output_schemas=False,
    )  # fmt: skip
    api.state.desk = desk
    for room in (checks, incidents, reports, silences, windows, attestations, installation):
        api.include_router(room.router, prefix="/v1")
    api.add_api_route("/docs", _docs, include_in_schema=False)
    describe(api.openapi(), has_token=desk.gate.has_token, read_open=desk.gate.reads_openly)
    for kind in (RequestError, StoreError, HTTPException):
        api.add_exception_handler(kind, answer)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(Exception, unexpected)
    return api


async def _docs(request: Request) -> Response:
    return await page(request, "api.html", operations=_operations(request.app.openapi()), description=DESCRIPTION)


async def _invalid(request: Request, error: Exception) -> Response:
    """What pydantic found, as one sentence each; or that the body is not said to be JSON, and was not read as such."""
    assert isinstance(error, RequestValidationError)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    unread = any(e["loc"][0] == "body" and e["type"] != "missing" for e in error.errors())
    if unread and kind != "application/json" and not kind.endswith("+json"):
        said = f"the API takes no {kind[:60]}" if kind else "nothing says what the body is"
        return await answer(request, RequestError(415, said, "send Content-Type: application/json"))
    return await answer(request, RequestError(400, "; ".join(map(_sentence, error.errors()[:5]))))


def _sentence(problem: Mapping[str, Any]) -> str:
    location = problem["loc"]
    if problem["type"] == "json_invalid":
        return f"the body is no JSON: {problem['ctx']['error']} at character {location[-1]}"
    where = ".".join(str(part) for part in location[1:]) or "body"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Paths, methods, parameters and fields of answers, as the page lists them."""
    schemas = document.get("components", {}).get("schemas", {})
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            answers = _success(operation).get("content", {}).get("application/json", {})
            found.append({
                "method": method.upper(),
                "path": f"/api{path}",
                "summary": operation.get("summary", ""),
                "description": operation.get("description", ""),
                "parameters": [p for p in operation.get("parameters", ()) if p["in"] != "header"],
                "body": _fields(body, schemas),
                "answer": _fields(answers.get("schema", {}), schemas),
            })  # fmt: skip
    return found


def _success(operation: dict[str, Any]) -> dict[str, Any]:
    return next((said for status, said in operation["responses"].items() if status < "300"), {})


def _fields(schema: dict[str, Any], schemas: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, type, help) of an object's fields, those of objects within it indented by their names."""
    known = schemas.get(_reference(schema), schema)
    return [(name, _type(field), field.get("description", "")) for name, field in known.get("properties", {}).items()]


def _reference(schema: dict[str, Any]) -> str:
    options = [schema, *schema.get("anyOf", ())]
    return next((str(option["$ref"]).rpartition("/")[2] for option in options if "$ref" in option), "")


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "$ref" in field:
        return _reference(field)
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    return str(field.get("type", "any"))
