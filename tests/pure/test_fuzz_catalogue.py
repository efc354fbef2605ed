"""Any tree under any real check, files that are no files, and files made to wear the loader out."""

from __future__ import annotations

import copy
import json
import os
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.catalogue import CatalogueError, load
from healthd.catalogue.problems import nearest
from healthd.loading import channel_options
from healthd.model.catalogue import Catalogue
from healthd.probes import PROBES
from healthd.settings import Settings
from tests.pure.catalogue_samples import write

REAL = Path(__file__).parents[2] / "checks"


@cache
def examples() -> tuple[tuple[str, Any], ...]:
    """Every item of the real catalogues, with the section it stands in."""
    found: list[tuple[str, Any]] = []
    for path in sorted(REAL.glob("*/*.yaml")):
        if path.name == "runbook.yaml":
            continue
        for section, body in yaml.load(path.read_text(), yaml.CBaseLoader).items():
            if isinstance(body, list):
                found += [(section, [item]) for item in body]
            elif isinstance(body, dict) and section != "system":
                found += [(section, {key: value}) for key, value in body.items()]
            else:
                found.append((section, body))
    return tuple(found)


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=12), st.just([]),
    st.just({}), st.dates().map(str),
    st.sampled_from(["", "~", "${", "${A}", "${A:-${B}}", "%Y-%m-%d", "*", "> 1", "in [", "1h" * 50,
    "((((", "a{9999999999}", "$..*[?(@.a)]", "{{ x }}", "{% for", "0 0 31 2 *", "last monday", "-1s", "nan", "1e999",
    "\x00", "\ud800", "file:///etc/passwd", "javascript:alert(1)", "http://[::1", "http://a:99999", "../..", "<b>"]),
)  # fmt: skip


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    section, body = copy.deepcopy(draw(st.sampled_from(examples())))
    for _ in range(draw(st.integers(1, 3))):
        if not (within := places(body)[1:]):
            break
        *way, last = draw(st.sampled_from(within))
        at = body
        for key in way:
            at = at[key]
        match draw(st.integers(0, 3)):
            case 0 if isinstance(at, dict):
                at.pop(last)
            case 1 if isinstance(at, dict):
                new = draw(st.text(max_size=5) | st.sampled_from(list(at)))
                at[new] = at.pop(last)
            case 2:
                at[last] = [at[last], at[last]]
            case _:
                at[last] = draw(ODD)
    return {"system": {"title": "Demo"}, section: body} if section != "system" else {section: body}


def read(folder: Path) -> Catalogue:
    return load(
        [folder], probes=PROBES, channels=channel_options(), settings=Settings(), environment={"A": "value", "B": ""}
    )


def accept_or_tell(folder: Path) -> tuple[str, ...]:
    """What is told; each says where, within the file, and on one line."""
    try:
        read(folder)
        return ()
    except CatalogueError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        lines = Path(problem.file).read_bytes().count(b"\n") + 1 if Path(problem.file).is_file() else 0
        assert 0 <= problem.line <= lines
        assert problem.message
        assert str(problem).isprintable()
        assert len(str(problem)) < 10_000
    return tuple(map(str, problems))


@settings(deadline=None)
@given(mutated())
def test_any_tree_is_accepted_or_told(tree: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # JSON is YAML, but for what Python adds to it
        text = json.dumps(tree, indent=1, default=str).replace("NaN", ".nan").replace("Infinity", ".inf")
        accept_or_tell(write(Path(folder), {"demo/system.yaml": text.encode()}) / "demo")


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/urandom", "/dev/tty", "x.yaml", "."])
def test_links_to_what_has_no_end(tmp_path: Path, target: str) -> None:
    folder = write(tmp_path, {"demo/system.yaml": "system: {title: Demo}"}) / "demo"
    (folder / "x.yaml").symlink_to(target)
    assert not any("demo/system.yaml" in told for told in accept_or_tell(folder))


def test_a_pipe_is_not_waited_for_and_not_passed_over_in_silence(tmp_path: Path) -> None:
    folder = write(tmp_path, {"demo/system.yaml": "system: {title: Demo}"}) / "demo"
    os.mkfifo(folder / "x.yaml")
    assert read(folder).warnings == (f"{folder}/x.yaml: is not read: it is no file",)


def test_the_name_of_a_file_cannot_begin_a_line(tmp_path: Path) -> None:
    folder = (
        write(tmp_path, {"demo/system.yaml": "system: {title: Demo}", "demo/a\n\x1b[31m.yaml": "checks: 5"}) / "demo"
    )
    (told,) = accept_or_tell(folder)
    assert "a\\n\\x1b[31m.yaml:1: checks: expected a list" in told


TCP = "probe: {type: tcp, host: h, port: 1}"
WEARING = {
    "thousands of names that nearly are": "checks:\n"
    + "".join(f"- {{name: c{i}, every: 1m, depends_on: [d{i}], {TCP}}}\n" for i in range(1000)),
    "merged keys": "x-0: &a {" + ", ".join(f"k{i}: 1" for i in range(1000)) + "}\nx-1: [" + "{<<: *a}, " * 3000 + "]",
    "blanks for a duration": f"checks: [{{name: a, every: '{' ' * 100_000}', {TCP}}}]",
    "a regular expression": "checks: [{name: a, every: 1m, probe: {type: http, url: 'http://x', body_pattern: '"
    + "(" * 5000 + ")" * 5000 + "'}}]",
    "references": "checks: [{name: '" + "${A:-" * 2000 + "}" * 2000 + f"', every: 1m, {TCP}}}]",
    "a condition": "checks: [{name: a, every: 1m, thresholds: {measure: up, critical: 'between "
    + "  " * 20000 + f" x'}}, {TCP}}}]",
}  # fmt: skip


@pytest.mark.parametrize("text", WEARING.values(), ids=list(WEARING))
def test_nothing_wears_it_out(tmp_path: Path, text: str) -> None:
    folder = write(tmp_path, {"demo/system.yaml": f"system: {{title: Demo}}\n{text}".encode()}) / "demo"
    began = time.process_time()
    assert accept_or_tell(folder)
    assert time.process_time() - began < 20


@given(st.integers(201, 400), st.sampled_from(["chekc-7", "check-7x", "xcheck-7", "CHECK-7", "check-17"]))
def test_the_nearest_of_many(count: int, word: str) -> None:
    assert nearest(word, [f"check-{i}" for i in range(count)]) is not None
    assert nearest("zzzzzzzz", [f"check-{i}" for i in range(count)]) is None
