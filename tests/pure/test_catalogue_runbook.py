"""The runbook's index and what people do: read, and refused with the place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from healthd.model.runbook import Fate
from tests.pure.catalogue_samples import WEB, catalogue, lines, read, write

INDEX = """
    severities: {SEV1: , SEV2: {covers: guide/sev2}}
    cadences:
      morning: {on: daily, at: "09:00", covers: [guide/schedule]}
      sunday: {on: sunday, at: "02:00"}
    runbook:
      - document: guide
        title: The guide
        source: GUIDE.md
        items:
          - {id: schedule, heading: Daily, title: Every morning, fate: policy, cadence: morning}
          - id: api
            heading: Daily / API
            title: Latency
            fate: check
            cadence: morning
            severity: SEV2
            expect: below 500 ms
            limits:
              - {row: slow, acceptable: "< 0.5s", for: 5m}
              - {measure: errors, critical: "> 1%", decided: true}
            note: read twice
          - {id: sev2, heading: Severities, title: SEV2, fate: policy}
          - {id: drill, heading: Monthly, title: A drill, fate: attestation, limits: {target: "< 2h"}}
    attestations:
      drill: {title: Drill, cadence: morning, who: on-call, description: All of it, covers: guide/drill}
      review: {within: 48h, severities: [SEV1, SEV2]}
    reports: {capacity: {cadence: morning, who: everybody}}
    contacts: {on-call: {address: on-call@example.com}}
    windows: {sunday: {cadence: sunday, duration: 2h, notice: 48h}}
    escalation:
      first: {title: On-call, after: {SEV1: 0s}}
      second: {who: on-call, after: {SEV1: 30m, SEV2: 1h}}
"""


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ("{}", "no figure is documented here"),
        ("{times: {at: '09:00'}}", "days or an interval are documented"),
        ("{times: {on: someday}}", "someday"),
        ("{times: {on: daily, timezone: Berlin}}", "did you mean 'Europe/Berlin'?"),
        ("{after: {SEV3: 5m}}", "unknown severity 'SEV3'"),
        ("{notice: soon}", "soon"),
    ],
)
def test_figures_that_cannot_be_read_are_refused(tmp_path: Path, figures: str, said: str) -> None:
    wrong = INDEX.replace("fate: policy, cadence: morning}", f"fate: policy, cadence: morning, figures: {figures}}}")
    (problem,) = lines(tmp_path, wrong)
    assert said in problem


def test_everything_a_runbook_can_say(tmp_path: Path) -> None:
    system = catalogue(tmp_path, INDEX).systems["demo"]
    (guide,) = system.runbook.documents
    assert (guide.name, guide.title, guide.url, guide.source.line) == ("guide", "The guide", "GUIDE.md", 7)
    api = guide.items[1]
    assert (api.id, api.heading, api.fate, api.cadence, api.severity, api.expect, api.note) == (
        "api", "Daily / API", Fate.CHECK, "morning", "SEV2", "below 500 ms", "read twice",
    )  # fmt: skip
    assert api.source.line == 12
    slow, errors = api.limits
    assert (slow.row, str(slow.acceptable), slow.for_, slow.decided) == ("slow", "< 0.5s", timedelta(minutes=5), False)
    assert (errors.measure, str(errors.critical), errors.for_, errors.decided) == ("errors", "> 1%", None, True)
    assert guide.items[3].limits[0].row == ""
    assert system.cadences["morning"].covers == ("guide/schedule",)
    assert system.severities["SEV2"].covers == ("guide/sev2",)


def test_what_people_do(tmp_path: Path) -> None:
    runbook = catalogue(tmp_path, INDEX).systems["demo"].runbook
    drill, review = runbook.attestations
    assert (drill.title, drill.cadence, drill.who, drill.covers) == ("Drill", "morning", "on-call", ("guide/drill",))
    assert (review.title, review.within, review.severities) == ("review", timedelta(hours=48), ("SEV1", "SEV2"))
    assert runbook.reports[0].who == "everybody"
    assert runbook.contacts[0].address == "on-call@example.com"
    assert (runbook.windows[0].duration, runbook.windows[0].notice) == (timedelta(hours=2), timedelta(hours=48))
    assert [dict(level.after or {}) for level in runbook.escalation] == [
        {"SEV1": timedelta(0)},
        {"SEV1": timedelta(minutes=30), "SEV2": timedelta(hours=1)},
    ]


def test_playbooks_and_their_steps_cover_items(tmp_path: Path) -> None:
    text = """
        playbooks:
          p: {covers: g/a, diagnostics: {title: look, covers: g/b}, remediation: [{command: mend, covers: [g/c, g/d]}]}
    """
    playbook = catalogue(tmp_path, text).systems["demo"].playbooks["p"]
    assert (playbook.covers, playbook.diagnostics[0].covers) == (("g/a",), ("g/b",))
    assert playbook.remediation[0].covers == ("g/c", "g/d")


def index(items: str) -> str:
    return f"runbook:\n- document: guide\n  items:\n  - {items}\n"


ITEM = "id: a, heading: H, title: T, fate: check"
CASES = [
    ("runbook: {document: d}", "1: runbook: expected a list, got a mapping"),
    ("runbook: [{items: []}]", "1: a document: 'document' is missing"),
    ("runbook: [{document: d, itmes: []}]", "document 'd': unknown key 'itmes'; did you mean 'items'?"),
    (index("{id: a, heading: H, title: T}"), "4: document 'guide': items[0]: 'fate' is missing"),
    (index("{id: a, heading: H, title: T, fate: chek}"), "4: document 'guide': items[0].fate: 'chek' is not one"),
    (index("{id: A b, heading: H, title: T, fate: check}"), "'A b' is not a name"),
    (index(f"{{{ITEM}, planned: x}}"), "4: document 'guide': items[0]: unknown key 'planned'"),
    (index(f"{{{ITEM}}}\n  - {{{ITEM}}}"), "5: item 'guide/a' is defined twice; first in"),
    (index(f"{{{ITEM}}}") + index(f"{{{ITEM}}}").removeprefix("runbook:\n"), "5: document 'guide' is defined twice"),
    (index(f"{{{ITEM}, cadence: mornig}}") + "cadences: {morning: {every: 1m}}", "did you mean 'morning'?"),
    (index(f"{{{ITEM}, severity: SEV3}}") + "severities: {SEV1: }", "4: document 'guide': item 'a': unknown severity"),
    (index(f"{{{ITEM}, limits: {{critcal: '> 1'}}}}"), "unknown key 'critcal'; did you mean 'critical'?"),
    (index(f"{{{ITEM}, limits: {{row: r}}}}"), "no limit is documented here"),
    (index(f"{{{ITEM}, limits: {{critical: 80}}}}"), '80 is not a condition; did you mean "= 80"'),
    (index(f"{{{ITEM}, limits: {{row: r, measure: m, for: 1m}}}}"), "'row' and 'measure' say the same"),
    ("attestations: {a: {}}", "nothing, or too much, says when it is due; expected cadence, or within: 48h"),
    ("attestations: {a: {within: 1h}}", "'within' and 'severities' belong together"),
    (
        "attestations: {a: {within: 1h, severities: S9}}\nseverities: {S1: }",
        "1: attestations: 'a': unknown severity 'S9'; known: S1",
    ),
    ("reports: {r: {cadence: never}}", "1: reports: 'r': unknown cadence 'never'; none is defined"),
    ("windows: {w: {cadence: x, duration: 0}}", "windows: 'w': duration: 0 is no time at all"),
    ("escalation: {l1: {after: {S9: 1h}}}\nseverities: {S1: }", "1: escalation: 'l1': unknown severity 'S9'"),
    ("contacts: {c: {adress: x}}", "1: contacts: 'c': unknown key 'adress'; did you mean 'address'?"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, expected: str) -> None:
    found = lines(tmp_path, text)
    assert any(expected in line for line in found), found


def test_covering_what_no_document_has_is_warned_about(tmp_path: Path) -> None:
    text = index(f"{{{ITEM}}}") + (
        f"checks: [{{name: a, every: 1m, {WEB}, covers: [guide/a, guide/b]}}]\n"
        "playbooks: {p: {remediation: [{title: x, covers: guid/a}]}}\n"
        "attestations: {t: {within: 1h, severities: critical, covers: other/a}}\n"
    )
    warnings = catalogue(tmp_path, text).warnings
    assert [w.partition("system.yaml:")[2] for w in warnings] == [
        "5: covers: no item 'guide/b' in any runbook; did you mean 'guide/a'?",
        "6: covers: no item 'guid/a' in any runbook; did you mean 'guide/a'?",
        "7: covers: no item 'other/a' in any runbook",
    ]


def test_without_an_index_covers_are_free_words(tmp_path: Path) -> None:
    assert not catalogue(tmp_path, f"checks: [{{name: a, every: 1m, {WEB}, covers: anything}}]").warnings


def test_an_index_may_be_in_several_files_and_is_shared_by_systems(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "one/system.yaml": index(f"{{{ITEM}}}"),
        "one/more.yaml": index(f"{{{ITEM}}}").replace("guide", "second"),
        "two/system.yaml": f"checks: [{{name: a, every: 1m, {WEB}, covers: [guide/a, second/a]}}]",
    }
    found = read(write(tmp_path, files))
    assert [d.name for d in found.systems["one"].runbook.documents] == ["second", "guide"]
    assert not found.warnings
