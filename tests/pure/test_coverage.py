"""Documented items against what takes care of them: states, times, severities, limits by their meaning."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from healthd.coverage import Coverage, State, coverage
from healthd.coverage.limits import same_condition
from healthd.coverage.render import as_html, as_json, as_markdown, summary
from healthd.model.conditions import parse_condition
from healthd.model.units import Unit
from tests.pure.catalogue_samples import WEB, catalogue, read, write

BASE = """\
severities: {SEV1: {}, SEV2: {}}
cadences: {morning: {on: daily, at: "09:00"}, evening: {on: daily, at: "18:00"}}
"""


SLOW = 'thresholds: {measure: latency, warning: "> 1s"}'


def item(id_: str, fate: str, more: str = "") -> str:
    return f"  - {{id: {id_}, heading: H, title: T, fate: {fate}{', ' + more if more else ''}}}\n"


def check(covers: str, more: str = "", cadence: str = "morning") -> str:
    own = f"name: c, cadence: {cadence}, {WEB}, severity: SEV1, covers: [{covers}]"
    return f"checks:\n- {{{own}{', ' + more if more else ''}}}\n"


def made(folder: Path, items: str, rest: str) -> Coverage:
    return coverage(catalogue(folder, f"{BASE}runbook:\n- document: g\n  title: <Guide>\n  items:\n{items}{rest}"))


def only(folder: Path, items: str, rest: str) -> tuple[State, tuple[str, ...]]:
    found = made(folder, items, rest).items[0]
    return found.state, found.problems


PEOPLE = "attestations: {t: {cadence: morning, covers: g/a}}\n"
STEP = "playbooks: {p: {severity: SEV2, covers: g/b, diagnostics: {title: look, covers: g/a}}}\n"


@pytest.mark.parametrize(
    ("fate", "rest", "state"),
    [
        ("check", check("g/a"), State.COVERED),
        ("check", check("g/a", "enabled: false"), State.OFF),
        ("check", PEOPLE, State.UNCOVERED),
        ("check", STEP, State.UNCOVERED),
        ("check", "", State.UNCOVERED),
        ("attestation", PEOPLE, State.COVERED),
        ("attestation", check("g/a"), State.UNCOVERED),
        ("attestation", PEOPLE + check("g/a", "enabled: false"), State.COVERED),
        ("playbook", STEP, State.COVERED),
        ("playbook", check("g/a"), State.UNCOVERED),
        ("report", "reports: {r: {cadence: morning, covers: g/a}}", State.COVERED),
        ("report", PEOPLE, State.UNCOVERED),
        ("policy", "contacts: {c: {covers: g/a}}", State.COVERED),
        ("policy", "windows: {w: {cadence: morning, duration: 1h, covers: g/a}}", State.COVERED),
        ("policy", "escalation: {l1: {covers: g/a}}", State.COVERED),
        ("policy", check("g/a"), State.UNCOVERED),
    ],
)
def test_an_item_is_covered_by_what_its_fate_asks_for(tmp_path: Path, fate: str, rest: str, state: State) -> None:
    assert only(tmp_path, item("a", fate), rest)[0] is state


def test_severities_and_cadences_are_policies(tmp_path: Path) -> None:
    text = """
        severities: {SEV1: {covers: g/sev1}}
        cadences: {morning: {on: daily, at: "09:00", covers: g/daily}}
        runbook:
          - document: g
            items:
              - {id: sev1, heading: H, title: T, fate: policy, severity: SEV1}
              - {id: daily, heading: H, title: T, fate: policy, cadence: morning}
    """
    found = coverage(catalogue(tmp_path, text))
    assert [i.state for i in found.items] == [State.COVERED, State.COVERED]
    assert [str(i.covers[0]) for i in found.items] == ["severity demo/SEV1", "cadence demo/morning"]


def test_what_else_covers_an_item_is_shown_too(tmp_path: Path) -> None:
    found = made(tmp_path, item("a", "attestation"), check("g/a", "enabled: false") + PEOPLE).items[0]
    assert [str(cover) for cover in found.covers] == ["attestation demo/t", "check demo/c (switched off)"]


@pytest.mark.parametrize(
    ("more", "rest", "problem"),
    [
        ("cadence: morning", check("g/a"), None),
        ("cadence: morning", check("g/a", cadence="[evening, morning]"), None),
        ("cadence: morning", check("g/a", cadence="evening"), "documented for morning, but demo/c at evening"),
        ("cadence: evening", check("g/a", "every: 5m"), "documented for evening, but demo/c at morning"),
        ("severity: SEV1", check("g/a"), None),
        ("severity: SEV2", check("g/a", SLOW), None),  # its warning
        ("severity: SEV2", check("g/a", f"{SLOW}, warning_severity: SEV1"), "documented as SEV2, but demo/c has SEV1"),
        ("severity: SEV2", check("g/a"), "documented as SEV2, but demo/c has SEV1"),  # it never warns
    ],
)
def test_time_and_severity_are_as_documented(tmp_path: Path, more: str, rest: str, problem: str | None) -> None:
    state, problems = only(tmp_path, item("a", "check", more), rest)
    assert (state, problems) == ((State.DIFFERS, (problem,)) if problem else (State.COVERED, ()))


def test_a_playbook_has_a_severity_and_no_time(tmp_path: Path) -> None:
    items = item("b", "playbook", "severity: SEV1, cadence: morning") + item("a", "playbook", "severity: SEV1")
    found = made(tmp_path, items, STEP).items
    assert found[0].problems == ("documented as SEV1, but demo/p has SEV2",)
    assert found[1].state is State.COVERED


ROW = 'thresholds: {r: {measure: latency, acceptable: "< 500ms", critical: ">= 1s", for: 5m, note: why}}\n'


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ('{row: r, acceptable: "< 0.5s"}', ""),
        ('{row: r, acceptable: "< 500 ms", critical: ">= 1000ms", for: 300s}', ""),
        ('{measure: latency, critical: ">= 1"}', ""),
        ('{critical: ">= 1s"}', ""),
        ('[{row: r, critical: ">= 1s"}, {measure: up, critical: "= 0"}]', ""),
        (
            '{row: r, acceptable: "<= 500ms"}',
            "demo/c r: acceptable is documented as '<= 500ms', and configured as '< 500ms'",
        ),
        ('{row: r, critical: "> 1s"}', "demo/c r: critical is documented as '> 1s', and configured as '>= 1s'"),
        ('{row: r, warning: "> 1s"}', "demo/c r: warning is documented as '> 1s', and none is configured"),
        ("{row: r, for: 10m}", "demo/c r: for is documented as 10m, and configured as 5m"),
        ('{row: q, critical: ">= 1s"}', "no check that covers it has a threshold row 'q'"),
        ('{measure: size, critical: ">= 1"}', "no check that covers it has a threshold row for the measure 'size'"),
        ('{row: r, critical: ">= 80%"}', "demo/c r: critical is documented as '>= 80%', and configured as '>= 1s'"),
    ],
)
def test_limits_are_compared_by_what_they_mean(tmp_path: Path, limit: str, problem: str) -> None:
    state, problems = only(tmp_path, item("a", "check", f"limits: {limit}"), ROW + check("g/a", "thresholds: r"))
    assert (state, problems) == ((State.DIFFERS, (problem,)) if problem else (State.COVERED, ()))


def test_a_decision_needs_a_reason_beside_the_row(tmp_path: Path) -> None:
    documented = item("a", "check", 'limits: {row: r, critical: "> 1s", decided: true}')
    with_reason = made(tmp_path / "1", documented, ROW + check("g/a", "thresholds: r")).items[0]
    assert (with_reason.state, with_reason.decisions) == (State.COVERED, ("r: why",))
    without = made(tmp_path / "2", documented, ROW.replace(", note: why", "") + check("g/a", "thresholds: r")).items[0]
    assert without.state is State.DIFFERS
    assert "no note" in without.problems[0]


@pytest.mark.parametrize(
    ("one", "other", "unit", "same"),
    [
        ("< 500ms", "< 0.5s", Unit.SECONDS, True),
        ("< 80%", "< 0.8", Unit.RATIO, True),
        ("< 80%", "<= 80%", Unit.RATIO, False),
        ("> 3d", "> 72h", Unit.DAYS, True),
        ("= ready", "== ready", Unit.TEXT, True),
        ("= ready", "!= ready", Unit.TEXT, False),
        ("in [a, b]", "in [b, a]", Unit.TEXT, True),
        ("in [a, b]", "not in [a, b]", Unit.TEXT, False),
        ("between 5MB and 50MB", ">= 5MB and <= 50000kB", Unit.BYTES, True),
        ("< 5 or > 50", "> 50 or < 5", Unit.COUNT, True),
        ("< 5", "< 5 jobs", Unit.COUNT, True),
        ("< 5s", "< 5MB", None, False),
        ("< 5s", "< 5000ms", None, True),
    ],
)
def test_conditions_with_one_meaning(one: str, other: str, unit: Unit | None, same: bool) -> None:
    assert same_condition(parse_condition(one), parse_condition(other), unit) is same


def test_covering_what_does_not_exist(tmp_path: Path) -> None:
    found = made(tmp_path, item("latency", "check"), check("g/latency, g/latenzy"))
    assert [(d.reference, str(d.by), d.nearest) for d in found.dangling] == [("g/latenzy", "check demo/c", "g/latency")]
    assert not found.is_complete


def test_a_system_may_cover_what_another_documents(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "one/system.yaml": "runbook:\n- document: g\n  items:\n" + item("a", "check"),
        "two/system.yaml": f"checks: [{{name: c, every: 1m, {WEB}, covers: g/a}}]",
    }
    both = read(write(tmp_path, files))
    assert coverage(both).is_complete
    assert coverage(both, ["two"]).unindexed == ("two",)
    assert [str(i.covers[0]) for i in coverage(both, ["one"]).items] == ["check two/c"]
    with pytest.raises(KeyError):
        coverage(both, ["three"])


@pytest.fixture
def mixed(tmp_path: Path) -> Coverage:
    items = item("a", "check", 'expect: "a | b <script>"') + item("b", "check") + item("c", "report")
    items += item("d", "check", 'cadence: evening, limits: {row: r, critical: "> 1s", decided: true}')
    return made(tmp_path, items, ROW + check("g/a, g/d, g/x", "thresholds: r"))


def test_as_json_has_everything(mixed: Coverage) -> None:
    told = json.loads(json.dumps(as_json(mixed)))
    assert told["complete"] is False
    assert told["counts"] == {"items": 4, "covered": 1, "off": 0, "differs": 1, "uncovered": 2}
    (document,) = told["documents"]
    first, *_, last = document["items"]
    assert (first["id"], first["state"], first["covered_by"][0]["name"]) == ("g/a", "covered", "demo/c")
    assert last["limits"] == [{"row": "r", "critical": "> 1s", "decided": True}]
    assert (last["decisions"], len(last["problems"])) == (["r: why"], 1)
    assert told["dangling"][0]["reference"] == "g/x"


def test_as_markdown_is_a_table(mixed: Coverage) -> None:
    text = as_markdown(mixed)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {6}
    assert "**nothing covers it; a check should**" in text
    assert "*decided: r: why*" in text
    assert "covers 'g/x', which no document has" in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)


def test_as_html_says_nothing_as_markup(mixed: Coverage) -> None:
    page = as_html(mixed)
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.seen
    assert tags.seen.count("tr") == 1 + 4
    assert "a | b &lt;script&gt;" in page
    assert "&lt;Guide&gt;" in page


def test_the_summary_counts(mixed: Coverage) -> None:
    assert summary(mixed) == (
        "4 documented items: 1 covered, 1 differs, 2 uncovered, 1 covers of items that do not exist"
    )
    assert "no documented items" in summary(Coverage((), ()))
