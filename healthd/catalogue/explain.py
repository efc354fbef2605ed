"""From pydantic's errors to problems a person can mend: where in the file, what was expected, what is nearest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from healthd.catalogue.descriptions import description
from healthd.catalogue.nodes import Mapping, Node, Spot, describe, locate
from healthd.catalogue.problems import Problem, RefusedError, did_you_mean, nearest
from healthd.catalogue.values import Values
from healthd.model.redact import Redactor
from healthd.model.units import format_duration

_KINDS = {
    "a whole number": ("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
    "a number": ("float_type", "float_parsing", "finite_number", "decimal_type", "decimal_parsing"),
    "text": ("string_type", "bytes_type", "path_type"),
    "true or false": ("bool_type", "bool_parsing"),
    "a list": ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"),
    "a mapping": ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"),
}
_EXPECTED = {error: words for words, errors in _KINDS.items() for error in errors}
_OWN_MESSAGE = frozenset({"value_error", "assertion_error"})  # may quote the value
_BUILT_IN = frozenset(get_args(ErrorType))
_TIMEDELTA = re.compile(r"datetime\.timedelta\(([^)]*)\)")
_PART = re.compile(r"(\w+)=(-?\d+)")
_QUOTED = re.compile(r"'([^']*)'")
_redact = Redactor()


def explain(
    error: ValidationError, node: Node, model: type[BaseModel], subject: str, values: Values
) -> Iterator[Problem]:
    """The problems behind a failed validation of `node` as `model`. `subject` begins each message ("check disk")."""
    errors = error.errors(include_url=False)
    meant = _meant(errors, model)
    found = [(locate(node, e["loc"]), e) for e in errors if e["type"] != "missing" or e["loc"] not in meant]
    for _, group in groupby(found, key=lambda pair: (pair[0].line, pair[0].path)):
        pairs = list(group)
        spot = pairs[0][0]
        if values.is_unresolved(spot.node):
            continue
        expected = [_EXPECTED[details["type"]] for _, details in pairs if details["type"] in _EXPECTED]
        others = [details for _, details in pairs if details["type"] not in _EXPECTED]
        secret = _is_secret(model, pairs[0][1]["loc"])
        if expected and not any(details["type"] == "extra_forbidden" for details in others):
            yield _kind_problem(spot, expected, subject, secret)
            continue
        for details in others:
            fault = _Fault(details, spot, model, secret, values.is_substituted(spot.node))
            message, hint = _describe(fault)
            yield Problem(spot.node.file, spot.line, f"{subject}: {message}", hint)


@dataclass(frozen=True, slots=True)
class _Fault:
    """One of pydantic's errors with what is needed to put it in words."""

    details: ErrorDetails
    spot: Spot
    model: type[BaseModel]
    secret: bool  # meant for a field that holds a secret
    substituted: bool  # comes from the environment

    @property
    def written(self) -> str:
        """The value as its author wrote it: `${NAME}` for a variable."""
        return "its value" if self.secret else _redact(describe(self.spot.node))


def _meant(errors: Sequence[ErrorDetails], model: type[BaseModel]) -> set[tuple[str | int, ...]]:
    """What the unknown keys were probably meant to be: those are not missing as well."""
    unknown = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    near = [(loc, nearest(str(loc[-1]), keys_at(model, loc[:-1]))) for loc in unknown]
    return {(*loc[:-1], name) for loc, name in near if name is not None}


def _kind_problem(spot: Spot, expected: Sequence[str], subject: str, secret: bool) -> Problem:
    wanted = list(dict.fromkeys(expected))
    got = "another kind of value" if secret else _redact(describe(spot.node))
    hint = ""
    if wanted == ["text"] and not isinstance(spot.node, Mapping) and got.startswith("'"):
        hint = "put it in quotes"
    message = f"{subject}: {_dotted(spot.path)}expected {' or '.join(wanted)}, got {got}"
    return Problem(spot.node.file, spot.line, message, hint)


def _describe(fault: _Fault) -> tuple[str, str]:
    details, path = fault.details, fault.spot.path
    kind, where = details["type"], _dotted(path)
    if kind == "missing":
        return f"{where}{str(details['loc'][-1])!r} is missing", _purpose(fault.model, details["loc"])
    if kind == "extra_forbidden":
        key, known = str(details["loc"][-1]), keys_at(fault.model, details["loc"][:-1])
        return f"{_dotted(path[:-1])}unknown key {key!r}", did_you_mean(key, known, "known keys")
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        context = details.get("ctx", {})
        options = _QUOTED.findall(str(context.get("expected", context.get("expected_tags", ""))))
        hint = did_you_mean(fault.written.strip("'"), options, "expected one of")
        return f"{where}{fault.written} is not one of the choices", hint
    if kind in _OWN_MESSAGE or kind not in _BUILT_IN:
        return _own_message(fault, where)
    if kind == "too_short":
        return f"{where}empty; at least {details.get('ctx', {}).get('min_length', 1)} is needed", ""
    message = _readable(details).removeprefix("Input should be ")
    message = f"must be {message}" if message != details["msg"] else message[:1].lower() + message[1:]
    got = "" if isinstance(fault.spot.node, Mapping) else f", got {fault.written}"
    return f"{where}{message}{got}", ""


def _readable(details: ErrorDetails) -> str:
    """pydantic's words, with durations as people write them."""
    return _TIMEDELTA.sub(_duration, details["msg"])


def _duration(match: re.Match[str]) -> str:
    parts = {name: int(number) for name, number in _PART.findall(match[1])}
    return format_duration(timedelta(**parts).total_seconds())


def _own_message(fault: _Fault, where: str) -> tuple[str, str]:
    """A validator's own words, unless they may repeat a value that is not to be shown."""
    if fault.secret or fault.substituted:
        text = f"{where}{fault.written} is not accepted (values of variables and secrets are not shown)"
        return text, _purpose(fault.model, fault.details["loc"])
    cause: Any = fault.details.get("ctx", {}).get("error")
    if isinstance(cause, RefusedError):
        return f"{where}{_redact(str(cause))}", cause.hint
    text = str(cause) if cause is not None else fault.details["msg"]
    return f"{where}{_redact(text)}", ""


def _dotted(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return f"{text}: " if text else ""


def _purpose(model: type[BaseModel], path: Sequence[str | int]) -> str:
    if not path:
        return ""
    found = next(((m, n) for m in _models(model, path[:-1]) if (n := _field_name(m, str(path[-1])))), None)
    about = description(*found) if found is not None else ""
    return f"expected {about}" if about else ""


def keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys a mapping at `path` may have, as people write them."""
    return [info.alias or name for m in _models(model, path) for name, info in m.model_fields.items()]


def _is_secret(model: type[BaseModel], path: Sequence[str | int]) -> bool:
    """Whether any field on the way is declared to hold a secret."""
    for end in range(len(path)):
        for candidate in _models(model, path[:end]):
            field = _field(candidate, str(path[end]))
            if field is not None and "Secret" in str(field.annotation):
                return True
    return False


def _models(model: type[BaseModel], path: Sequence[str | int]) -> list[type[BaseModel]]:
    """The models a path may lead to; steps that are no field (indexes, union members) stay where they are."""
    models = [model]
    for step in path:
        fields = [field for m in models if (field := _field(m, str(step)))]
        if fields:
            models = [m for field in fields for m in _models_in(field.annotation)] or models
    return models


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    name = _field_name(model, key)
    return None if name is None else model.model_fields[name]


def _field_name(model: type[BaseModel], key: str) -> str | None:
    return next((name for name, info in model.model_fields.items() if key in (info.alias, name)), None)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
