"""Every probe has its page, and the page every measure: what is not documented cannot be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from healthd.probes import PROBES

PAGES = Path(__file__).parents[2] / "docs/probes"
_LINE = re.compile(r"^\| `(\w+)` \| .* \| \[\w+\]\(([\w.]+)(?:#\w+)?\) \|$", re.MULTILINE)
INDEX = dict(_LINE.findall((PAGES / "README.md").read_text()))


def test_the_index_lists_the_probes_there_are() -> None:
    assert INDEX.keys() == PROBES.keys()


@pytest.mark.parametrize("kind", PROBES)
def test_the_page_names_every_measure_and_parameter(kind: str) -> None:
    page = (PAGES / INDEX[kind]).read_text()
    parameters = PROBES[kind].Params.model_json_schema()["properties"]
    missing = [name for name in (*PROBES[kind].measures, *parameters) if f"`{name}`" not in page]
    assert not missing
    assert re.search(rf"\btype: {kind}\b", page), "no example"
    assert re.search(r"UNKNOWN|[Ww]hen it fails|failures: \[AWS\]", page), "not a word on failures"
