"""The JSONPath subset: by table, and for every document there is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.probes.json_path import JsonPathError, parse_json_path

DOCUMENT: dict[str, Any] = {
    "status": "ok",
    "checks": {"database": {"status": "connected"}, "odd key": 1, "a.b": 2, "it's": 3},
    "queues": [{"name": "mail", "depth": 3}, {"name": "video", "depth": 9}],
    "empty": [],
    "length": 7,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [DOCUMENT]),
        ("$.status", ["ok"]),
        ("status", ["ok"]),
        (" $.checks.database.status ", ["connected"]),
        ("$['checks']['odd key']", [1]),
        ('$.checks["a.b"]', [2]),
        (r"$.checks['it\'s']", [3]),
        ("$.queues[0].depth", [3]),
        ("$.queues[-1].depth", [9]),
        ("$.queues[*].depth", [3, 9]),
        ("$.queues.*.name", ["mail", "video"]),
        ("$.checks.*.status", ["connected"]),
        ("$.queues.length()", [2]),
        ("$.status.length()", [2]),
        ("$.length", [7]),
        ("$.empty[*]", []),
        ("$.queues[2]", []),
        ("$.queues.name", []),
        ("$.status[0]", []),
        ("$.nothing.at.all", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert [match.value for match in parse_json_path(path).find(DOCUMENT)] == found


def test_wildcards_tell_what_they_stood_for() -> None:
    matches = parse_json_path("$.queues[*].depth").find(DOCUMENT)
    assert [(match.keys, match.element["name"]) for match in matches] == [(("0",), "mail"), (("1",), "video")]


@pytest.mark.parametrize("path", ["", "$.", "$..a", "$.a[", "$.a[x]", "$.a b", "$.length().a", "$.a['x", "$.a[?(@.b)]"])
def test_unreadable_paths(path: str) -> None:
    with pytest.raises(JsonPathError, match="JSON path"):
        parse_json_path(path)


def _paths(document: Any, path: str = "$") -> list[tuple[str, Any]]:
    here = [(path, document)]
    if isinstance(document, dict):
        for key, value in document.items():
            quoted = key.replace("\\", "\\\\").replace("'", "\\'")
            here += _paths(value, f"{path}['{quoted}']")
    if isinstance(document, list):
        for index, value in enumerate(document):
            here += _paths(value, f"{path}[{index}]")
    return here


_leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_documents = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(_documents)
def test_every_value_of_any_document_can_be_pointed_at(document: Any) -> None:
    for path, value in _paths(document):
        (match,) = parse_json_path(path).find(document)
        assert match.value is value


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_an_error(text: str) -> None:
    try:
        path = parse_json_path(text)
    except JsonPathError:
        return
    path.find(DOCUMENT)
