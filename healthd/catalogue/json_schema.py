"""JSON Schema of catalogue files, for editors: made from the same shapes that validate them.

Looser than the validation where it must be: a variable may stand wherever a number or boolean does, a parameter that is
missing may come from the system's defaults, and where a probe's own validator reads short forms they are let through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from healthd.catalogue.descriptions import description
from healthd.catalogue.fields import DURATION_SCHEMA
from healthd.catalogue.file_shape import CatalogueShape
from healthd.catalogue.kinds import ProbeKind
from healthd.catalogue.shapes import Shape

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FROM_ENVIRONMENT = {"type": "string", "pattern": r"\$\{", "description": "from an environment variable: ${NAME}"}
_SCALARS = frozenset({"integer", "number", "boolean"})
_SHORT_MARK = "short-forms"
_SHORT_FORMS = {"type": ["string", "number", "boolean", "array"]}

Schema = dict[str, Any]


def schema(probes: Mapping[str, ProbeKind], channels: Mapping[str, type[BaseModel]]) -> Schema:
    """JSON Schema (draft 2020-12) of one catalogue file with the parameters of these probe and channel types."""
    tables: dict[str, dict[str, type[BaseModel]]] = {
        "ProbeShape": {name: kind.Params for name, kind in probes.items()},
        "ChannelShape": dict(channels),
    }
    models: list[type[BaseModel]] = [CatalogueShape, *(model for table in tables.values() for model in table.values())]
    made, definitions = models_json_schema(
        [(model, "validation") for model in models], by_alias=True, schema_generator=_EditorSchema
    )
    defs: Schema = definitions.get("$defs", {})
    names = {model: reference["$ref"].rpartition("/")[2] for (model, _), reference in made.items()}
    root = defs.pop(names[CatalogueShape])
    for shape, table in tables.items():
        defs[shape] = _choice(defs[shape], {type_: _plain(defs[names[model]]) for type_, model in table.items()})
    defs["DefaultsShape"]["properties"]["probe"] |= {
        "properties": {
            type_: _plain(defs[names[model]]) | {"required": []} for type_, model in tables["ProbeShape"].items()
        },
        "additionalProperties": False,
    }
    return {
        "$schema": _DIALECT,
        **_usable(root),
        "title": "healthd catalogue",
        "$defs": _usable(_with_short_forms(defs)),
    }


class _EditorSchema(GenerateJsonSchema):
    """Lets through what a validator may turn into the declared type, unless it says what it reads."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> Schema:
        inner = super().function_before_schema(schema)
        if "json_schema_input_schema" in schema or schema["schema"]["type"] == "model-fields":
            return inner
        return {"anyOf": [inner, _SHORT_FORMS]}

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        # a model's own keys are added to what is returned here: its short forms can only be added at the end
        made = super().model_schema(schema)
        _describe(made, schema["cls"])
        reads_short_forms = schema["schema"]["type"] == "function-before" and not issubclass(schema["cls"], Shape)
        return {**made, _SHORT_MARK: True} if reads_short_forms else made


def _describe(made: Schema, model: type[BaseModel]) -> None:
    """Say of each property what the source says below it."""
    for name, info in model.model_fields.items():
        part = made.get("properties", {}).get(info.alias or name)
        if part is not None and info.description is None and (about := description(model, name)):
            part["description"] = about


def _plain(model: Schema) -> Schema:
    """The mapping form of a model that may have short forms too."""
    return {key: part for key, part in model.items() if key != _SHORT_MARK}


def _with_short_forms(defs: Schema) -> Schema:
    return {n: {"anyOf": [_plain(d), _SHORT_FORMS]} if _SHORT_MARK in d else d for n, d in defs.items()}


def _choice(shape: Schema, members: Mapping[str, Schema]) -> Schema:
    """What every member has, and for each type its own parameters."""
    common = {name: part for name, part in shape["properties"].items() if name != "type"}
    about = shape["properties"]["type"]["description"]
    choice: Schema = {
        "title": shape["title"],
        "description": shape.get("description", ""),
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "description": about}},
    }
    if members:
        choice["properties"]["type"]["enum"] = sorted(members)
        choice["allOf"] = [_case(type_, common, members[type_]) for type_ in sorted(members)]
    return choice


def _case(type_: str, common: Schema, model: Schema) -> Schema:
    constant = {"type": {"const": type_}}
    return {
        "if": {"properties": constant, "required": ["type"]},
        "then": {
            "title": type_,
            "description": model.get("description", ""),
            "properties": {**constant, **common, **model.get("properties", {})},
            "additionalProperties": model.get("additionalProperties", True),
        },
    }


def _usable(part: Any) -> Any:
    """Say what people may write: durations as words, variables wherever a text could not be one."""
    if isinstance(part, list):
        return [_usable(item) for item in part]
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind == "string" and part.get("format") == "duration":
        return {**{k: v for k, v in part.items() if k not in ("type", "format")}, **DURATION_SCHEMA}
    plain = {k: _usable(v) for k, v in part.items() if k != "writeOnly"}
    narrow = kind == "string" and part.keys() & {"pattern", "enum", "const", "format", "minLength", "maxLength"}
    if narrow or (isinstance(kind, str) and kind in _SCALARS):
        about = {k: plain.pop(k) for k in ("title", "description", "default", "examples") if k in plain}
        return {**about, "anyOf": [plain, _FROM_ENVIRONMENT]}
    return plain
