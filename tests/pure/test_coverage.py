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
    ("good", "row", "said"),
    [
        ('target: "< 500ms"', 'warning: ">= 500ms", critical: "> 2s"', ""),
        ('target: "< 500ms"', 'warning: ">= 800ms"', "0.5s does not alarm (warning >= 800ms)"),
        ('target: "< 500ms"', 'warning: "> 500ms"', "0.5s does not alarm (warning > 500ms)"),
        ('target: "< 500ms"', 'warning: ">= 400ms"', "0.4s alarms (warning >= 400ms)"),
        ('target: "< 500ms"', "", ""),  # missing it is a warning
        ('target: "< 500ms"', 'acceptable: "< 1s"', "0.5s does not alarm (target < 500ms, acceptable < 1s)"),
        ('target: "< 300ms", acceptable: "< 500ms"', 'warning: ">= 500ms"', ""),
        ('target: "< 300ms", warning: "> 1s"', 'warning: "> 1s"', ""),  # the document says itself what is bad
    ],
)
def test_what_is_only_called_good_alarms_where_it_is_missed(tmp_path: Path, good: str, row: str, said: str) -> None:
    own = ", ".join(part for part in ("measure: latency", good.partition(", warning")[0], row) if part)
    documented = item("a", "check", f"limits: {{row: r, {good}}}")
    state, problems = only(tmp_path, documented, f"thresholds: {{r: {{{own}}}}}\n" + check("g/a", "thresholds: r"))
    assert state is (State.DIFFERS if said else State.COVERED)
    assert said in "".join(problems)


def test_counts_have_no_halves_and_nothing_below_zero(tmp_path: Path) -> None:
    row = 'thresholds: {r: {measure: up, target: "= 0", warning: ">= %d"}}\n'
    documented = item("a", "check", 'limits: {row: r, target: "= 0"}')
    assert only(tmp_path / "1", documented, row % 1 + check("g/a", "thresholds: r"))[0] is State.COVERED
    (problem,) = only(tmp_path / "2", documented, row % 3 + check("g/a", "thresholds: r"))[1]
    assert problem.endswith("'= 0', but 1 does not alarm (warning >= 3)")


def test_words(tmp_path: Path) -> None:
    row = 'thresholds: {r: {measure: state, target: "= ready", %s}}\n'
    documented = item("a", "check", 'limits: {row: r, target: "= ready"}')
    assert only(tmp_path / "1", documented, row % 'warning: "!= ready"' + check("g/a", "thresholds: r"))[1] == ()
    (problem,) = only(tmp_path / "2", documented, row % 'warning: "= failed"' + check("g/a", "thresholds: r"))[1]
    assert problem.endswith("but another word does not alarm (warning = failed)")


def test_the_time_of_its_own_fate_counts(tmp_path: Path) -> None:
    """A check at the documented time does not make up for a person who is asked at another."""
    documented = item("a", "attestation", "cadence: morning")
    people = "attestations: {t: {cadence: evening, covers: g/a}}\n"
    assert only(tmp_path, documented, check("g/a") + people)[1] == ("documented for morning, but demo/t at evening",)


POLICIES = """\
severities: {SEV1: {response: 15m, covers: g/a}, SEV2: {}}
cadences:
  morning: {on: daily, at: "09:00", covers: g/b}
  sunday: {on: sunday, at: "02:00", timezone: Europe/Berlin}
windows: {w: {cadence: sunday, duration: 2h, notice: 48h, covers: g/c}}
escalation: {l1: {after: {SEV1: 0s}}, l2: {after: {SEV1: 30m, SEV2: 1h}, covers: g/d}}
attestations: {t: {within: 48h, severities: [SEV1], covers: g/e}}
playbooks: {p: {response: 5m, diagnostics: {title: look, covers: g/f}}}
"""
BERLIN = "{times: {on: sunday, timezone: Europe/Berlin}, duration: 2h, notice: 2d}"


@pytest.mark.parametrize(
    ("id_", "fate", "figures", "problem"),
    [
        ("a", "policy", "{response: 900s}", ""),
        ("a", "policy", "{response: 30m}", "response is documented as 30m, but severity demo/SEV1 has 15m"),
        ("a", "policy", "{updates: 15m}", "updates is documented as 15m, and nothing that covers it says so"),
        ("a", "policy", "{times: {on: daily}}", "documented as daily, and no cadence covers it"),
        ("b", "policy", '{times: {on: daily, at: "09:00"}}', ""),
        ("b", "policy", "{times: {on: daily}}", ""),
        ("b", "policy", '{times: {on: daily, at: "10:00"}}', "10:00 (UTC), but morning is daily at 09:00 (UTC)"),
        ("b", "policy", "{times: {on: monday}}", "monday (UTC), but morning is daily at 09:00 (UTC)"),
        ("b", "policy", "{times: {every: 60s}}", "every 1m, but morning is daily at 09:00 (UTC)"),
        ("c", "policy", BERLIN, ""),
        ("c", "policy", "{times: {on: sunday}}", "sunday (UTC), but sunday is sunday at 02:00 (Europe/Berlin)"),
        ("d", "policy", "{after: {SEV1: 30m, SEV2: 1h}}", ""),
        ("d", "policy", "{after: {SEV1: 15m}}", "after SEV1 is documented as 15m, but escalation demo/l2 has 30m"),
        ("e", "attestation", "{within: 24h}", "within is documented as 1d, but attestation demo/t has 2d"),
        ("f", "playbook", "{response: 5m}", ""),
    ],
)  # fmt: skip
def test_figures_of_policies_are_as_documented(tmp_path: Path, id_: str, fate: str, figures: str, problem: str) -> None:
    index = "runbook:\n- document: g\n  items:\n" + item(id_, fate, f"figures: {figures}")
    found = coverage(catalogue(tmp_path, POLICIES + index)).items[0]
    assert found.state is (State.DIFFERS if problem else State.COVERED)
    assert "".join(found.problems).endswith(problem)


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
    assert last["figures"] == {}
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
