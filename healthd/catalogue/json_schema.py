"""JSON Schema of catalogue files, for editors: made from the same shapes that validate them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from healthd.catalogue.fields import DURATION_SCHEMA
from healthd.catalogue.kinds import ProbeKind
from healthd.catalogue.shapes import CatalogueShape

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FROM_ENVIRONMENT = {"type": "string", "pattern": r"\$\{", "description": "from an environment variable: ${NAME}"}
_SCALARS = frozenset({"integer", "number", "boolean"})


def schema(probes: Mapping[str, ProbeKind], channels: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one catalogue file with the parameters of these probe and channel types."""
    tables: dict[str, dict[str, type[BaseModel]]] = {
        "Probe": {name: kind.Params for name, kind in probes.items()},
        "Channel": dict(channels),
    }
    models: list[type[BaseModel]] = [CatalogueShape, *(model for table in tables.values() for model in table.values())]
    made, definitions = models_json_schema(
        [(model, "validation") for model in models], by_alias=True, ref_template="#/$defs/{model}"
    )
    defs: dict[str, Any] = definitions.get("$defs", {})
    names = {model: reference["$ref"].rpartition("/")[2] for (model, _), reference in made.items()}
    root = defs.pop(names[CatalogueShape])
    for kind, table in tables.items():
        shape = defs[f"{kind}Shape"]
        defs[f"{kind}Shape"] = _choice(shape, {type_: defs[names[model]] for type_, model in table.items()})
    defaults = defs["DefaultsShape"]["properties"]["probe"]
    defaults |= {"properties": {t: _parameters(defs["ProbeShape"], t) for t in probes}, "additionalProperties": False}
    return {"$schema": _DIALECT, **_usable(root), "title": "healthd catalogue", "$defs": _usable(defs)}


def _choice(shape: dict[str, Any], members: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One schema per type: what every member has, the type as a constant, and the type's own parameters."""
    common = {name: part for name, part in shape["properties"].items() if name != "type"}
    about = shape["properties"]["type"]["description"]
    choice = {
        "title": shape["title"],
        "description": shape.get("description", ""),
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "description": about}},
    }
    if members:
        choice["properties"]["type"]["enum"] = sorted(members)
        choice["oneOf"] = [_member(type_, common, members[type_]) for type_ in sorted(members)]
    return choice


def _member(type_: str, common: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    # nothing but the type is required: parameters may come from the system's defaults
    return {
        "title": type_,
        "description": model.get("description", ""),
        "type": "object",
        "properties": {"type": {"const": type_}, **common, **model.get("properties", {})},
        "required": ["type"],
        "additionalProperties": model.get("additionalProperties", True),
    }


def _parameters(choice: dict[str, Any], type_: str) -> dict[str, Any]:
    member = next(m for m in choice["oneOf"] if m["title"] == type_)
    properties = {name: part for name, part in member["properties"].items() if name != "type"}
    return {**member, "properties": properties, "required": []}


def _usable(part: Any) -> Any:
    """Say what people may write: durations as words, variables wherever a number or boolean stands."""
    if isinstance(part, list):
        return [_usable(item) for item in part]
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind == "string" and part.get("format") == "duration":
        return {**{k: v for k, v in part.items() if k not in ("type", "format")}, **DURATION_SCHEMA}
    plain = {k: _usable(v) for k, v in part.items() if k != "writeOnly"}
    if isinstance(kind, str) and kind in _SCALARS and "$defs" not in part:
        about = {k: plain.pop(k) for k in ("title", "description", "default", "examples") if k in plain}
        return {**about, "anyOf": [plain, _FROM_ENVIRONMENT]}
    return plain
