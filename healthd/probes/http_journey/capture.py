"""Taking values out of an answer. Pure: an answer in, values and complaints out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from healthd.probes.http.assertions import Answered, decode
from healthd.probes.http_journey.params import Capture
from healthd.probes.patterns import search

_LONGEST = 100_000  # characters of one value; a token is some thousands


class NotFoundError(Exception):
    """The value is not there, or is none that can be carried along."""


def captured(
    wanted: Mapping[str, Capture], answer: Answered, cookies: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """The values that are there, and what to say of those that are not. `cookies` are all that the journey holds."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, capture in wanted.items():
        try:
            values[name] = _value(capture, answer, cookies)
        except NotFoundError as error:
            problems.append(f"{error}, wanted as {{{{{name}}}}}")
    return values, problems


def looks(wanted: Mapping[str, Capture], answer: Answered) -> Iterator[tuple[str, int]]:
    """The patterns that `captured` looks for, and in how many characters at most."""
    for capture in wanted.values():
        if capture.regex is not None:
            text = answer.body if capture.header is None else answer.headers.get(capture.header, "")
            yield capture.regex, len(text)


def _value(capture: Capture, answer: Answered, cookies: Mapping[str, str]) -> Any:
    if capture.json_ is not None:
        value = _from_json(capture.json_, answer)
    elif capture.cookie is not None:
        value = _there(cookies.get(capture.cookie), f"no cookie {capture.cookie}")
    elif capture.header is not None:
        value = _there(answer.headers.get(capture.header), f"no {capture.header} header")
        if capture.regex is not None:
            value = _found(capture.regex, value, f"the {capture.header} header")
    else:
        assert capture.regex is not None
        value = _found(capture.regex, decode(answer), "the body")
    if isinstance(value, str) and len(value) > _LONGEST:
        raise NotFoundError(f"a value of {len(value)} characters")
    return value


def _from_json(path: Any, answer: Answered) -> Any:
    try:
        matches = path.find(json.loads(answer.body))
    except (ValueError, RecursionError):
        raise NotFoundError("the body is not JSON") from None
    if not matches:
        raise NotFoundError(f"no {path} in the body")
    if matches[0].value is None or isinstance(matches[0].value, dict | list):
        raise NotFoundError(f"{path} is no single value")
    return matches[0].value


def _found(pattern: str, text: str, where: str) -> str:
    found = search(pattern, text)
    if found is None:
        raise NotFoundError(f"{where} does not match {pattern!r}")
    return found[1 if len(found) > 1 else 0] or ""


def _there(value: str | None, otherwise: str) -> str:
    if value is None:
        raise NotFoundError(otherwise)
    return value
