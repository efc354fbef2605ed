"""Every probe is tried on something real, and every one is seen to fail.

Whether tests marked so do that is seen as they run (tests/component/conftest.py).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthd.probes import PROBES
from tests.pure.test_probe_pages import INDEX, PAGES

COMPONENT = Path(__file__).parents[1] / "component"


def marked(name: str) -> dict[str, list[str]]:
    """Types of probes to the files with tests that are marked for them."""
    found = defaultdict(list)
    for path in sorted(COMPONENT.rglob("test_*.py")):
        for kind in _arguments(ast.parse(path.read_text()), name):
            found[kind].append(path.name)
    return found


def _arguments(tree: ast.AST, name: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{name}":
            yield from (ast.literal_eval(argument) for argument in node.args)


TRIED, FAILING = marked("probe"), marked("probe_failure")


@pytest.mark.parametrize("kind", PROBES)
def test_every_probe_has_a_page_and_tests_that_see_it_work_and_fail(kind: str) -> None:
    assert (PAGES / INDEX[kind]).is_file()
    assert TRIED.get(kind), "no test is marked: pytest.mark.probe"
    assert FAILING.get(kind), "no test is marked: pytest.mark.probe_failure"


def test_no_test_is_marked_for_a_probe_there_is_not() -> None:
    assert TRIED.keys() | FAILING.keys() <= PROBES.keys()
