"""Every mistake is told with its place, what is wrong and what would be right; all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthd.catalogue import CatalogueError
from tests.pure.catalogue_samples import WEB, lines, problems, read, write


def check(text: str) -> str:
    """A check that is right, and `text`."""
    return f"checks:\n- {{name: a, every: 1m, {WEB}, {text}}}"


def row(text: str) -> str:
    """A check with one row of a threshold table."""
    return f"thresholds: {{r: {text}}}\n" + check("thresholds: r")


CASES = [
    # unknown keys, at every depth
    ("chekcs: []", "1: unknown section 'chekcs'; did you mean 'checks'?"),
    ("system: {titel: x}", "1: system: unknown key 'titel'; did you mean 'title'?"),
    ("severities:\n  S1:\n    respons: 1h", "3: severity 'S1': unknown key 'respons'; did you mean 'response'?"),
    ("cadences: {a: {evry: 1m}}", "1: cadence 'a': unknown key 'evry'; did you mean 'every'?"),
    ("thresholds: {r: {critcal: '> 1'}}", "1: threshold 'r': unknown key 'critcal'; did you mean 'critical'?"),
    ("thresholds: {r: {form: 5m, critical: '> 1'}}", "1: threshold 'r': unknown key 'form'; did you mean 'for'?"),
    ("playbooks: {p: {remedy: [x]}}", "1: playbook 'p': unknown key 'remedy'; known keys: title, url"),
    (
        "playbooks:\n  p:\n    remediation:\n    - ok\n    - {comand: x}",
        "5: playbook 'p': remediation[1]: unknown key 'comand'; did you mean 'command'?",
    ),
    (check("retry: {attempt: 2}"), "2: check demo/a: retry: unknown key 'attempt'; did you mean 'attempts'?"),
    (
        check("thresholds: [{measure: up, warnin: '= 0'}]"),
        "2: check demo/a: thresholds[0]: unknown key 'warnin'; did you mean 'warning'?",
    ),
    (
        "checks:\n- name: a\n  every: 1m\n  probe:\n    type: web\n    url: http://x\n    prot: 80",
        "7: check demo/a: unknown key 'prot'; did you mean 'port'?",
    ),
    ("routes: [{channel: slack}]", "1: route: unknown key 'channel'; did you mean 'channels'?"),
    ("channels: {c: {type: hook, urll: x}}", "1: channel 'c': unknown key 'urll'; did you mean 'url'?"),
    ("defaults: {timout: 5s}", "1: defaults: unknown key 'timout'; did you mean 'timeout'?"),
    ("defaults: {probe: {web: {prot: 1}}}", "defaults: the web probe has no parameter 'prot'; did you mean 'port'?"),
    ("defaults: {probe: {wbe: {}}}", "defaults: unknown probe type 'wbe'; did you mean 'web'?"),
    # missing and wrong values
    ("checks:\n- {every: 1m, probe: {type: web, url: 'http://x'}}", "2: a check: 'name' is missing"),
    ("checks: [{name: a, every: 1m}]", "1: check demo/a: 'probe' is missing"),
    ("checks: [{name: a, every: 1m, probe: {type: web}}]", "check demo/a: 'url' is missing; expected address to ask"),
    ("checks: [{name: a, every: 1m, probe: web}]", "check demo/a: probe: expected a mapping, got 'web'; write a type"),
    ("checks: [{name: a, every: 1m, probe: {url: x}}]", "check demo/a: probe: 'type' is missing; known: queue, web"),
    (
        "checks: [{name: a, every: 1m, probe: {type: wep}}]",
        "unknown probe type 'wep'; did you mean 'web'? known: queue, web",
    ),
    (f"checks: [{{name: a, {WEB}}}]", "check demo/a: nothing says when it runs; expected every: 60s"),
    (f"checks: [{{name: a b, every: 1m, {WEB}}}]", "'a b' is not a name: it may hold"),
    (check("enabled: perhaps"), "check demo/a: enabled: expected true or false, got 'perhaps'"),
    (check("title: 5"), "check demo/a: title: expected text, got '5'; put it in quotes"),
    (check("labels: [a]"), "check demo/a: labels: expected a mapping, got a list"),
    (check("covers: [[a]]"), "check demo/a: covers[0]: expected text, got a list"),
    (check("timeout: soon"), "check demo/a: timeout: 'soon' is not a duration; expected something like 30s"),
    (check("timeout: 5MB"), "check demo/a: timeout: '5MB' is not a duration"),
    (check("timeout: 0"), "check demo/a: timeout: 0 is no time at all"),
    (check("grace: [1]"), "check demo/a: grace: not a duration; expected something like 30s"),
    (check("retry: {attempts: 0}"), "retry.attempts: must be greater than or equal to 1, got '0'"),
    (check("unknown: {after: 1, for: 5m}"), "unknown: 'after' and 'for' exclude each other"),
    (check("unknown: loud"), "check demo/a: unknown: 'loud' is not one of the choices; expected one of: warning"),
    (check("flapping: {start: 3, stop: 5}"), "flapping: stop 5, start 3, window 20 never work together"),
    ("severities: {S1: {pagerduty: crit}}", "pagerduty: 'crit' is not one of the choices; did you mean 'critical'?"),
    ("severities: {S1: {rank: first}}", "severity 'S1': rank: expected a whole number, got 'first'"),
    ("system: {timezone: Europe/Berln}", "system: unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?"),
    ("system: {timezone: berlin}", "did you mean 'Europe/Berlin'?"),
    ("system: {timezone: ../etc/passwd}", "unknown time zone '../etc/passwd'; expected an IANA name"),
    ("system: {name: My System}", "did you mean 'my-system'?"),
    ("system: []", "system: expected a mapping, got a list"),
    ("checks: {a: b}", "checks: expected a list, got a mapping"),
    ("checks: [a]", "checks: expected a mapping, got 'a'"),
    (
        "checks: [{name: a, every: 1m, probe: {type: web, url: 'http://x', expect: [1]}}]",
        "check demo/a: expect: expected a whole number or text, got a list",
    ),
    (
        "checks: [{name: a, every: 1m, probe: {type: web, url: 'http://x', port: 99999}}]",
        "check demo/a: port: must be less than or equal to 65535, got '99999'",
    ),
    ("checks: [{name: a, every: 1m, probe: {type: web, url: host}}]", "url: 'host' is not an address: expected http"),
    # references
    (
        check("cadence: mornig") + "\ncadences: {morning: {every: 1m}}",
        "unknown cadence 'mornig'; did you mean 'morning'?",
    ),
    (check("cadence: [x, y]"), "check demo/a: unknown cadence 'y'; none is defined"),
    (check("playbook: stuk") + "\nplaybooks: {stuck: {}}", "unknown playbook 'stuk'; did you mean 'stuck'?"),
    (check("thresholds: slw") + "\nthresholds: {slow: {critical: '> 1'}}", "row 'slw'; did you mean 'slow'?"),
    (check("severity: SEV9") + "\nseverities: {SEV1: }", "unknown severity 'SEV9'; did you mean 'SEV1'?"),
    (check("warning_severity: x") + "\nseverities: {SEV1: }", "unknown severity 'x'; known: SEV1"),
    ("severities: {S1: }\nsystem: {severity: S2}", "2: system: unknown severity 'S2'; known: S1"),
    ("severities: {S1: }\nplaybooks: {p: {severity: S2}}", "2: playbook 'p': unknown severity 'S2'"),
    (check("depends_on: b"), "check demo/a: depends on unknown check 'b'; known: a"),
    (check("depends_on: [other/a]"), "depends on unknown check 'other/a'; known: demo/a"),
    (check("depends_on: a"), "check demo/a: depends on itself: demo/a -> demo/a"),
    ("routes: [{channels: [slak]}]", "1: route: unknown channel 'slak'; did you mean 'slack'?"),
    ("routes: [{channels: slack, levels: bad}]", "route: unknown level 'bad'; expected one of: warning, critical"),
    ("routes: [{channels: slack, system: a, systems: b}]", "'system' and 'systems' are the same thing; keep systems"),
    ("routes: [{system: a}]", "route: 'channels' is missing"),
    ("channels: {c: {type: hok}}", "channel 'c': unknown channel type 'hok'; did you mean 'hook'?"),
    ("channels: {c: {type: hook}}", "channel 'c': 'url' is missing"),
    ("channels: {c: x}", "channel 'c': expected a mapping with a type"),
    # threshold rows
    (row("{measure: latencie, critical: '> 1'}"), "the probe has no measure 'latencie'; did you mean 'latency'?"),
    (row("{critical: '> 1'}"), "'measure' is missing and not clear from the probe; its measures: up, latency"),
    (
        row("{measure: latency, critical: '> 80%'}"),
        "'> 80%': a limit in ratio cannot be compared with a measure in sec",
    ),
    (row("{measure: size, critical: '> 5s'}"), 'a measure in bytes is compared with a size such as "5MB"'),
    (row("{measure: errors, critical: '> 80'}"), "where 1 is all of it; did you mean '> 80%'?"),
    (row("{measure: latency, critical: '= slow'}"), "'= slow' compares with a word; the measure is a number (seconds)"),
    (row("{measure: latency, critical: 'in [a, b]'}"), "'in [a, b]' lists words; the measure is a number"),
    (row("{measure: state, critical: '> 5'}"), "'> 5' compares numbers; the measure is a word"),
    (row("{measure: latency}"), "1: threshold 'r': a row without a condition judges nothing"),
    (row("{measure: latency, critical: 5}"), 'critical: 5 is not a condition; did you mean "= 5"'),
    (row("{measure: latency, critical: true}"), 'true is not a condition; did you mean "= true"?'),
    (row("{measure: state, critical: [a, b]}"), 'a list is not a condition; did you mean "in [a, b]"?'),
    (row("{measure: latency, critical: '80'}"), "'80' is not a condition: start with one of <"),
    (row("{measure: latency, critical: '> 5 lightyears'}"), "unknown unit 'lightyears'"),
    (row("{measure: latency, critical: '> 1s', unit: ms}"), "'ms' is not a base unit"),
    (row("{measure: latency, critical: '> 1s', unit: bytes}"), "'latency' is in seconds, not in bytes"),
    (row("{measure: latency, critical: '> 1s', missing: bad}"), "'bad' is not one of the choices"),
    (row("{measure: errors, warning: '>= 90%', critical: '>= 80%'}"), "warning '>= 90%' is never seen: critical"),
    (row("{measure: errors, warning: '>= 80%', critical: '>= 80%'}"), "are the two swapped?"),
    (row("{measure: size, warning: '< 5MB', critical: '< 10MB'}"), "warning '< 5MB' is never seen"),
    (row("{measure: latency, target: '> 2s', critical: '> 1s'}"), "target '> 2s' lies wholly within critical '> 1s'"),
    (row("{measure: latency, acceptable: '> 2s', warning: '> 1s'}"), "acceptable '> 2s' lies wholly within warning"),
    (row("{measure: state, target: '= up', critical: '!= down'}"), "target '= up' lies wholly within critical"),
    (row("{measure: latency, critical: '> 5 and < 3'}"), "critical: '> 5 and < 3' never holds"),
    (check("grace: 400y"), "'400y' is not a duration; expected something like 30s, 5m or 24h"),
    (check("grace: 5 minuts"), "unknown unit 'minuts' in '5 minuts'; did you mean 'minutes'?"),
    ("cadences: {a: {every: 1ms}}", "1: cadence 'a': every: '1ms' is too often; expected 100ms at least"),
    ("routes: [{channels: []}]", "1: route: channels: empty; at least 1 is needed"),
    ("channels: {my ops: {type: hook, url: http://x}}", "1: channel 'my ops': not a name: it may hold letters"),
    (
        check("thresholds: [{measure: latency, critical: '> 1s'}, {measure: latency, warning: '> 2s'}]"),
        "two threshold rows are called 'latency'; give one of them a name of its own",
    ),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[expected for _, expected in CASES])
def test_each_mistake_is_told_once_with_what_would_be_right(tmp_path: Path, text: str, expected: str) -> None:
    found = [line for line in lines(tmp_path, text) if expected in line]
    assert len(found) == 1, lines(tmp_path, text)
    assert found[0].startswith("demo/system.yaml:")


def test_a_single_mistake_is_a_single_problem(tmp_path: Path) -> None:
    for number, (text, _) in enumerate(CASES):
        told = lines(tmp_path / str(number), text)
        if "[x, y]" not in text:  # two names, two mistakes
            assert len(told) == 1, told


@pytest.mark.parametrize(
    "text",
    [
        "{measure: latency, target: '< 300ms', acceptable: '< 500ms', warning: '>= 500ms', critical: '>= 1s'}",
        "{measure: latency, warning: 'between 1s and 2s', critical: '> 2s'}",
        "{measure: latency, critical: '< 1s or > 5s', warning: 'outside 2s and 4s'}",
        "{measure: latency, warning: '> 300', critical: '> 1000'}",
        "{measure: errors, critical: '> 0.8', warning: '> 50%'}",
        "{measure: errors, critical: '> 150%'}",
        "{measure: up, critical: '= no'}",
        "{measure: up, target: '= 1', critical: '!= 1'}",
        "{measure: state, target: '= up', warning: '= warming', critical: 'not in [up, warming]'}",
        "{measure: certificate, warning: '< 30d', critical: '< 7'}",
    ],
)
def test_sensible_rows_pass(tmp_path: Path, text: str) -> None:
    assert read(write(tmp_path, {"demo/system.yaml": row(text)})).checks


def test_every_mistake_of_every_file_at_once_in_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "b/system.yaml": "system: {timezone: Nowhere}\n"
            + check("playbok: x, cadence: c, thresholds: t, severity: S9")
            + "\nseverities: {S1: }",
            "b/broken.yaml": "checks: [",
            "a/system.yaml": f"chekcs: []\nchecks:\n- {{name: a, {WEB}}}\n- {{name: a, every: 1x, {WEB}}}",
        },
    )
    with pytest.raises(CatalogueError) as caught:
        read(tmp_path)
    found = caught.value.problems
    assert [(p.file, p.line) for p in found] == sorted((p.file, p.line) for p in found)
    text = str(caught.value)
    for expected in ("chekcs", "nothing says when", "defined twice", "'1x'", "not valid YAML", "Nowhere", "playbok"):
        assert text.count(expected) == 1, text
    # what the unreadable file may have defined is not told to be missing
    assert "unknown cadence" not in text
    assert "unknown severity" not in text


def test_one_wrong_key_hides_no_other_mistake_of_the_check(tmp_path: Path) -> None:
    text = """
        checks:
        - name: a
          titel: x
          timeout: soon
          cadence: nope
          playbook: nope
          depends_on: nope
          thresholds: [nope, {measure: nope, critical: '> 1'}]
          probe: {type: web, port: x}
    """
    told = "\n".join(lines(tmp_path, text))
    for line, expected in (
        (4, "titel"), (5, "soon"), (6, "unknown cadence 'nope'"), (7, "unknown playbook 'nope'"),
        (8, "unknown check 'nope'"), (9, "unknown threshold row 'nope'"),
        (10, "port: expected a whole number"), (10, "'url' is missing"),
    ):  # fmt: skip
        assert any(f":{line}: " in one and expected in one for one in told.splitlines()), (expected, told)


def test_one_wrong_key_hides_no_other_mistake_of_the_system(tmp_path: Path) -> None:
    told = lines(tmp_path, "system: {titel: x, timezone: Europe/Berln, severity: P9}\nseverities: {P1: {}}")
    assert ["unknown key 'titel'" in line for line in told].count(True) == 1
    assert ["Europe/Berln" in line for line in told].count(True) == 1
    assert ["unknown severity 'P9'" in line for line in told].count(True) == 1
    assert len(told) == 3


def test_what_follows_from_wrong_parameters_is_not_told(tmp_path: Path) -> None:
    text = """
        checks:
        - name: a
          every: 1m
          probe: {type: web, url: "${MISSING}", words: true}
          thresholds: [{measure: word, critical: "= bad"}, {measure: latency, critical: "> 80%"}]
    """
    missing, unit = lines(tmp_path, text)
    assert ":5: the variable MISSING is not set; needed by check demo/a" in missing
    assert ":6: check demo/a: threshold 'latency': critical: '> 80%'" in unit


def test_duplicates_name_both_places(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "demo/system.yaml": f"system: {{title: a}}\nchecks:\n- {{name: a, every: 1m, {WEB}}}\n"
            "channels: {c: {type: hook, url: x}}",
            "demo/more.yaml": f"system: {{title: b}}\nchecks:\n- {{name: a, every: 1m, {WEB}}}\n"
            "thresholds: {r: {critical: '> 1'}}",
            "demo/z.yaml": "thresholds:\n  r: {critical: '> 2'}",
            "second/system.yaml": "system: {name: demo}\nchannels: {c: {type: hook, url: y}}",
        },
    )
    with pytest.raises(CatalogueError) as caught:
        read(tmp_path)
    told = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert told == [
        "demo/system.yaml:1: system: 'title' is defined twice; first in demo/more.yaml:1",
        "demo/system.yaml:3: check 'a' is defined twice; first in demo/more.yaml:3",
        "demo/z.yaml:2: thresholds: 'r' is defined twice; first in demo/more.yaml:4",
        "second/system.yaml:1: the system 'demo' is defined twice; first in demo",
        "second/system.yaml:2: channels: 'c' is defined twice; first in demo/system.yaml:4",
    ]


def test_cycles_are_shown_once_each(tmp_path: Path) -> None:
    names = {"a": "[b]", "b": "[c, d]", "c": "a", "d": "[e]", "e": "[d]", "f": "[a]"}
    text = "checks:\n" + "".join(f"- {{name: {n}, every: 1m, {WEB}, depends_on: {d}}}\n" for n, d in names.items())
    assert lines(tmp_path, text) == [
        "demo/system.yaml:2: check demo/a: depends on itself: demo/a -> demo/b -> demo/c -> demo/a",
        "demo/system.yaml:5: check demo/d: depends on itself: demo/d -> demo/e -> demo/d",
    ]


def test_long_chains_of_dependencies_are_no_cycle(tmp_path: Path) -> None:
    text = "checks:\n" + "".join(
        f"- {{name: c{i}, every: 1m, {WEB}, depends_on: [c{i + 1}, c{i + 2}]}}\n" for i in range(1500)
    )
    text += f"- {{name: c1500, every: 1m, {WEB}}}\n- {{name: c1501, every: 1m, {WEB}}}\n"
    assert len(read(write(tmp_path, {"demo/system.yaml": text})).checks) == 1502


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "the catalogue folder does not exist"),
        ({"cat/readme.txt": "x"}, "holds no system (no folder with a system.yaml)"),
        ({"cat/one/checks.yaml": "checks: []"}, "holds checks.yaml but no system.yaml"),
        ({"cat": "x"}, "a file, not a folder"),
        ({"cat/one/system.yaml": "x-a: 1", "cat/shared.yaml": "checks: []"}, "belongs to one system"),
        ({"cat/Bad Name/system.yaml": "x-a: 1"}, "write system: {name: bad-name}"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        read(write(tmp_path, files) / "cat")
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_a_catalogue_names_the_setting(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogueError, match=rf"{name}: .*HEALTHD_CHECKS"):
        read(tmp_path / name)


def test_problems_are_values(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "chekcs: []")
    assert problem.line == 1
    assert problem.message == "unknown section 'chekcs'"
    assert problem.hint.startswith("did you mean 'checks'?")
