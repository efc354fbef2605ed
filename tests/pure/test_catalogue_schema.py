"""The JSON Schema for editors accepts what loads, refuses what is misspelt, and explains every key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from healthd.catalogue import schema
from healthd.notify import CHANNELS as REAL_CHANNELS
from healthd.probes import PROBES as REAL_PROBES
from tests.pure.catalogue_samples import CHANNELS, PROBES, WEB, catalogue
from tests.pure.test_catalogue import FULL

SCHEMA = schema(PROBES, CHANNELS)


class Yaml12Loader(yaml.CSafeLoader):
    """Reads as editors do: only true and false are booleans, and 10:30 is no number."""


Yaml12Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not (tag.endswith("bool") and first not in "tTfF")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def complaints(text: str) -> list[str]:
    document = yaml.load(text, Yaml12Loader)
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(document)]


def test_it_is_a_schema_of_the_2020_12_draft_and_json() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize(
    "text",
    [
        FULL,
        f"x-a: [1]\nchecks: [{{name: a, every: 60, {WEB}, covers: d/a}}]\n"
        "runbook: [{document: d, items: [{id: a, heading: H, title: T, fate: check}]}]",
        "checks: [{name: a, every: 1m, probe: {type: web, url: 'http://x', port: '${PORT}', words: '${WORDS}'}}]",
        "channels: {c: {type: hook, url: x, max_age: 1h}}\nroutes: [{channels: slack, level: critical}]",
        "severities:\n  S1:\nchecks: []",
    ],
)
def test_it_accepts_what_loads(tmp_path: Path, text: str) -> None:
    assert catalogue(tmp_path, text, PORT="80", WORDS="true").systems
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("chekcs: []", "$"),
        ("system: {titel: x}", "$.system"),
        ("checks: [{name: a, every: 1m, probe: {type: wep}}]", "$.checks"),
        ("checks: [{name: a, every: 1m, probe: {type: web, prot: 80}}]", "$.checks"),
        ("checks: [{name: a, every: 1m, probe: {type: web, port: abc}}]", "$.checks"),
        ("checks: [{name: a, every: 1m, probe: {type: queue, port: 80}}]", "$.checks"),
        ("checks: [{name: A B, probe: {type: web}}]", "$.checks"),
        ("thresholds: {r: {critical: 5}}", "$.thresholds"),
        ("thresholds: {r: {missing: bad}}", "$.thresholds"),
        ("channels: {c: {type: hok}}", "$.channels"),
        ("defaults: {probe: {web: {prot: 1}}}", "$.defaults"),
        ("defaults: {timeout: [1]}", "$.defaults"),
    ],
)
def test_it_refuses_what_does_not_load(text: str, path: str) -> None:
    assert complaints(text) == [path]


def properties(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        for name, body in part.get("properties", {}).items():
            yield f"{path}.{name}", body
        for key, body in part.items():
            yield from properties(body, f"{path}/{key}")
    elif isinstance(part, list):
        for item in part:
            yield from properties(item, path)


def test_durations_and_conditions_come_with_examples() -> None:
    found = dict(properties(SCHEMA["$defs"]["RowShape"]))
    assert "< 500ms" in found[".critical"]["anyOf"][0]["examples"]
    assert "5m" in found[".for"]["examples"]


def test_the_real_probes_fit_and_have_their_parameters() -> None:
    made = schema(REAL_PROBES, {})
    Draft202012Validator.check_schema(made)
    cases = [case["then"] for case in made["$defs"]["ProbeShape"]["allOf"]]
    choices = {case["title"]: case for case in cases}
    assert set(choices) == set(REAL_PROBES)
    for type_, probe in REAL_PROBES.items():
        assert {info.alias or n for n, info in probe.Params.model_fields.items()} <= set(choices[type_]["properties"])


@pytest.fixture(scope="module")
def real() -> Draft202012Validator:
    """With every probe and channel there is."""
    return Draft202012Validator(schema(REAL_PROBES, {name: kind.Options for name, kind in REAL_CHANNELS.items()}))


@pytest.mark.parametrize("path", sorted(Path("checks").glob("*/*.yaml")), ids=str)
def test_the_catalogues_of_this_repository_are_accepted(path: Path, real: Draft202012Validator) -> None:
    errors = real.iter_errors(yaml.load(path.read_bytes(), Yaml12Loader))
    assert [(error.json_path, error.message) for error in errors] == []
