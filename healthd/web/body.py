"""What clients send: JSON objects and forms, refused with a sentence where they are something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from healthd.web.problem import RequestError

MAX_FIELDS = 20


async def json_object(request: Request) -> Mapping[str, Any]:
    """The body as a JSON object; an empty one where there is no body. Raises RequestError 400."""
    body = await request.body()
    if not body.strip():
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError(
            400, "the body is not JSON", 'send an object such as {"actor": "ada", "note": "on it"}'
        ) from None
    if not isinstance(value, dict):
        raise RequestError(400, "the body is not a JSON object", 'send an object such as {"actor": "ada"}')
    return value


async def form(request: Request) -> Mapping[str, str]:
    """The fields of a form as a browser sends it; the last one of a name. Raises RequestError 400."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise RequestError(400, "this is not a form", "programs use the API: see /api/docs")
    try:
        text = (await request.body()).decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise RequestError(400, "the form cannot be read") from None
