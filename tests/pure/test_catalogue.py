"""What a catalogue says is what the model gets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from healthd.catalogue import diff
from healthd.model.outcomes import Level
from healthd.model.units import Unit
from healthd.settings import Settings
from tests.pure.catalogue_samples import WEB, catalogue, read, write

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

FULL = """
    system:
      title: Demonstration
      description: Shows everything
      timezone: Europe/Berlin
      runbook_url: https://runbook.example/demo
      links: {Dashboard: https://grafana.example/d/1}
      severity: SEV2
    severities:
      SEV1: {title: Outage, response: 15m}
      SEV2: {title: Degraded, response: 1h}
      SEV3: {title: Minor, response: 4h, pagerduty: info}
    cadences:
      morning: {on: daily, at: "09:00", title: Morning checks}
      continuous: {every: 60s}
      drill: {on: first monday, at: "10:30", grace: 48h}
    defaults:
      timeout: 5s
      labels: {team: platform, tier: 1}
      probe: {queue: {url: redis://cache}}
    thresholds:
      transcoding_queue: {measure: length, target: "< 10", warning: "> 50", critical: "> 100", for: 5m, recover_for: 2m}
    playbooks:
      jobs-stuck:
        title: Jobs are stuck
        url: https://runbook.example/jobs
        severity: SEV2
        symptoms: [nothing moves]
        likely_cause: a worker hangs
        diagnostics: [look at the workers, {title: List them, command: ps, when: always, expect: two}]
        remediation: {command: restart worker}
    checks:
      - name: queue
        title: Transcoding queue depth
        cadence: [morning, continuous]
        every: 5m
        cron: "*/15 * * * *"
        probe: {type: queue, key: "transcoding:queue"}
        thresholds: transcoding_queue
        severity: SEV1
        playbook: jobs-stuck
        depends_on: [web, demo/other]
        covers: runbook/daily-5
        retry: {attempts: 3, backoff: 500ms}
        unknown: {for: 10m, level: critical}
        flapping: {window: 10, start: 5, stop: 2}
        labels: {tier: 0, urgent: true}
      - {name: web, cadence: drill, probe: {type: web, url: "http://x"}, flapping: false, enabled: false}
      - {name: other, every: 10, probe: {type: web, url: "http://x"}, unknown: ignore, grace: 3m, timeout: 2s}
"""


def test_everything_a_check_can_say(tmp_path: Path) -> None:
    found = catalogue(tmp_path, FULL)
    system, check = found.systems["demo"], found.checks["demo/queue"]
    assert check is system.checks[0]
    assert (check.title, check.severity, check.warning_severity) == ("Transcoding queue depth", "SEV1", "SEV2")
    assert check.probe.params.url.get_secret_value() == "redis://cache"
    assert check.probe.params.key == "transcoding:queue"
    assert check.cadences == ("morning", "continuous")
    assert [(rule.every, rule.crons) for rule in check.rules] == [
        (None, ("0 9 * * *",)),
        (MINUTE, ()),
        (5 * MINUTE, ()),
        (None, ("*/15 * * * *",)),
    ]
    assert check.rules[0] is system.cadences["morning"].rule
    assert check.interval == MINUTE
    assert check.depends_on == ("demo/web", "demo/other")
    assert check.covers == ("runbook/daily-5",)
    assert (check.retry.attempts, check.retry.backoff) == (3, timedelta(seconds=0.5))
    assert (check.unknown.for_, check.unknown.level) == (10 * MINUTE, Level.CRITICAL)
    assert (check.flapping.window, check.flapping.start, check.flapping.stop, check.flapping.enabled) == (
        10,
        5,
        2,
        True,
    )
    assert dict(check.labels) == {"team": "platform", "tier": "0", "urgent": "true"}
    assert check.timeout == timedelta(seconds=5)
    assert check.runbook_url == "https://runbook.example/demo"
    assert check.source.line == FULL.splitlines().index("      - name: queue") + 1
    assert check.source.file.endswith("demo/system.yaml")


def test_thresholds_carry_conditions_units_and_times(tmp_path: Path) -> None:
    up, row = catalogue(tmp_path, FULL).checks["demo/queue"].thresholds
    assert (up.measure, str(up.critical), up.unit) == ("up", "= 0", Unit.COUNT)
    assert (row.name, row.key, row.measure, row.unit) == (
        "transcoding_queue",
        "transcoding_queue",
        "length",
        Unit.COUNT,
    )
    assert [str(c) for c in (row.target, row.acceptable, row.warning, row.critical)] == [
        "< 10",
        "None",
        "> 50",
        "> 100",
    ]
    assert (row.for_, row.recover_for) == (5 * MINUTE, 2 * MINUTE)


def test_defaults_of_calendar_and_interval_checks_differ(tmp_path: Path) -> None:
    checks = catalogue(tmp_path, FULL).checks
    web, other = checks["demo/web"], checks["demo/other"]
    assert (web.unknown.after, web.unknown.level, web.grace, web.interval) == (1, Level.WARNING, 48 * HOUR, None)
    assert (web.enabled, web.flapping.enabled, web.severity, web.warning_severity) == (False, False, "SEV2", "SEV3")
    assert (other.unknown.after, other.unknown.level) == (3, Level.OK)
    assert (other.grace, other.timeout) == (3 * MINUTE, timedelta(seconds=2))


def test_system_severities_cadences_and_playbooks(tmp_path: Path) -> None:
    system = catalogue(tmp_path, FULL).systems["demo"]
    assert (system.title, system.zone.key, system.links["Dashboard"]) == (
        "Demonstration", "Europe/Berlin", "https://grafana.example/d/1",
    )  # fmt: skip
    scale = [(s.name, s.rank, s.pagerduty, s.response) for s in system.severities.values()]
    assert scale == [("SEV1", 1, "critical", 15 * MINUTE), ("SEV2", 2, "error", HOUR), ("SEV3", 3, "info", 4 * HOUR)]
    morning, drill = system.cadences["morning"], system.cadences["drill"]
    assert (morning.title, morning.text, morning.grace) == ("Morning checks", "daily at 09:00", 4 * HOUR)
    assert (drill.title, drill.rule.crons, drill.grace) == ("drill", ("30 10 * * 1#1",), 48 * HOUR)
    playbook = system.playbooks["jobs-stuck"]
    assert [step.title for step in playbook.diagnostics] == ["look at the workers", "List them"]
    assert [(step.title, step.command) for step in playbook.remediation] == [("restart worker", "restart worker")]


def test_the_shortest_catalogue(tmp_path: Path) -> None:
    check = catalogue(tmp_path, f"checks: [{{name: a, every: 1m, {WEB}}}]").checks["demo/a"]
    assert (check.title, check.timeout, check.grace) == ("a", Settings().default_timeout, MINUTE)
    assert (check.severity, check.warning_severity) == ("critical", "warning")
    assert [row.measure for row in check.thresholds] == ["up"]


def test_short_intervals_get_half_a_minute_of_grace(tmp_path: Path) -> None:
    assert catalogue(tmp_path, f"checks: [{{name: a, every: 5, {WEB}}}]").checks["demo/a"].grace == timedelta(
        seconds=30
    )


def test_a_row_of_its_own_replaces_the_probes(tmp_path: Path) -> None:
    text = f'checks: [{{name: a, every: 1m, {WEB}, thresholds: {{measure: up, warning: "= 0"}}}}]'
    (row,) = catalogue(tmp_path, text).checks["demo/a"].thresholds
    assert (str(row.warning), row.critical) == ("= 0", None)


@pytest.mark.parametrize(
    ("table", "reference", "measure", "unit"),
    [
        ('latency: {critical: "> 1s"}', "latency", "latency", Unit.SECONDS),  # the row's name is a measure
        ('slow: {measure: latency, critical: "> 1"}', "slow", "latency", Unit.SECONDS),
        ('days: {measure: certificate, critical: "< 2w"}', "days", "certificate", Unit.DAYS),
        ('word: {measure: state, critical: "!= ready"}', "word", "state", Unit.TEXT),
        ('word: {measure: state, critical: "not in [ready, warm]"}', "word", "state", Unit.TEXT),
        ('share: {measure: errors, critical: "> 80%", warning: "> 0.5"}', "share", "errors", Unit.RATIO),
    ],
)
def test_a_row_finds_its_measure_and_unit(tmp_path: Path, table: str, reference: str, measure: str, unit: Unit) -> None:
    text = f"thresholds: {{{table}}}\nchecks: [{{name: a, every: 1m, {WEB}, thresholds: [{reference}]}}]"
    row = catalogue(tmp_path, text).checks["demo/a"].thresholds[-1]
    assert (row.measure, row.unit, row.name) == (measure, unit, reference)


def test_the_only_measure_besides_up_needs_no_naming(tmp_path: Path) -> None:
    text = 'checks: [{name: a, every: 1m, probe: {type: queue, url: x}, thresholds: {critical: "> 5 jobs"}}]'
    row = catalogue(tmp_path, text).checks["demo/a"].thresholds[-1]
    assert (row.measure, row.key) == ("length", "length")


def test_an_open_ended_probe_takes_any_measure_and_the_written_unit(tmp_path: Path) -> None:
    text = """
        thresholds: {lag: {critical: "> 5MB"}, share: {critical: "> 80", unit: ratio}}
        checks:
        - {name: a, every: 1m, probe: {type: web, url: "http://x", words: true}, thresholds: [lag]}
    """
    row = catalogue(tmp_path, text).checks["demo/a"].thresholds[-1]
    assert (row.measure, row.unit) == ("lag", Unit.BYTES)


def test_anchors_merge_keys_and_plain_words(tmp_path: Path) -> None:
    text = """
        x-common: &common {every: 1m, severity: critical}
        x-probe: &probe
          type: web
          url: http://x
          headers: {Accept: yes, Time: 10:30, Empty: "", Number: "1.10"}
        checks:
          - {<<: *common, name: a, probe: *probe}
          - {<<: [*common], every: 2m, name: b, probe: {<<: *probe, port: 81}}
    """
    found = catalogue(tmp_path, text)
    a, b = found.checks["demo/a"], found.checks["demo/b"]
    assert a.probe.params.headers == {"Accept": "yes", "Time": "10:30", "Empty": "", "Number": "1.10"}
    assert (b.interval, b.probe.params.port, b.severity) == (2 * MINUTE, 81, "critical")


def test_sections_merge_over_files_and_folders_hold_several_systems(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "one/system.yaml": "system: {title: One}\ndefaults: {timeout: 3s, probe: {queue: {key: q}}}",
            "one/checks.yml": f"checks: [{{name: a, every: 1m, {WEB}, thresholds: slow}}]",
            "one/more.yaml": 'thresholds: {slow: {measure: latency, critical: "> 1s"}}\n'
            "system: {timezone: Asia/Tokyo}\n"
            "defaults: {probe: {queue: {url: x}}}\n"
            "checks: [{name: q, every: 1m, probe: {type: queue}, depends_on: two/b}]",
            "one/.hidden.yaml": "not: valid: yaml",
            "one/notes.txt": "not YAML",
            "two/system.yml": f"system: {{name: two}}\nchecks: [{{name: b, every: 1m, {WEB}}}]",
            ".git/system.yaml": "nonsense",
            "routes.yaml": "routes: [{channels: slack, systems: [one]}]",
        },
    )
    found = read(tmp_path)
    assert set(found.checks) == {"one/a", "one/q", "two/b"}
    one = found.systems["one"]
    assert (one.title, one.zone.key) == ("One", "Asia/Tokyo")
    params = found.checks["one/q"].probe.params
    assert (params.key, params.url.get_secret_value()) == ("q", "x")
    assert found.checks["one/a"].timeout == timedelta(seconds=3)
    assert found.routes[0].systems == ("one",)
    assert not found.warnings
    assert set(read(tmp_path / "one", tmp_path / "two", tmp_path / "one").systems) == {"one", "two"}


def test_a_config_map_volume_is_read_once(tmp_path: Path) -> None:
    text = f"checks: [{{name: a, every: 1m, {WEB}}}]"
    mount = write(tmp_path / "demo", {"..2026_01_01/system.yaml": text})
    (mount / "..data").symlink_to("..2026_01_01")
    (mount / "system.yaml").symlink_to("..data/system.yaml")
    assert set(read(mount).checks) == set(read(tmp_path).checks) == {"demo/a"}


def test_channels_and_routes(tmp_path: Path) -> None:
    text = f"""
        channels:
          ops: {{type: hook, url: "${{HOOK}}", max_age: 1h}}
          off: {{type: hook, url: "${{UNSET:-}}"}}
          plain: {{type: hook, url: "${{HOOK}}", note: "${{UNSET:-}}"}}
        routes:
          - {{system: demo, severity: crit*, check: [a, demo/*], level: critical, labels: {{team: x}},
             channels: [ops, off]}}
          - {{channels: [slack, pagerduty, webhook], continue: false}}
        checks: [{{name: a, every: 1m, {WEB}, labels: {{team: x}}}}]
    """
    found = catalogue(tmp_path, text, HOOK="https://hook.example/abcdef")
    assert set(found.channels) == {"ops", "plain"}
    assert found.channels["ops"].max_age == HOUR
    assert found.channels["plain"].max_age == Settings().notify_max_age
    assert found.channels["plain"].options.note == "none"
    assert "https://hook.example/abcdef" in found.secrets
    first, second = found.routes
    assert (first.systems, first.severities, first.checks) == (("demo",), ("crit*",), ("a", "demo/*"))
    assert (first.levels, dict(first.labels), first.continue_) == ((Level.CRITICAL,), {"team": "x"}, True)
    assert (second.channels, second.continue_) == (("slack", "pagerduty", "webhook"), False)
    (warning,) = found.warnings
    assert "system.yaml:4: channel 'off' is left out: url is empty" in warning


def test_what_is_odd_but_legal_is_a_warning(tmp_path: Path) -> None:
    text = f"""
        routes: [{{systems: [demmo, x*], severities: SEV1, checks: b, labels: {{a: b}}, channels: slack}}]
        checks:
          - {{name: a, every: 5, cron: "0 9 1-7 * 1", {WEB}, timeout: 10s,
             thresholds: {{measure: latency, target: "< 2s", critical: "> 1s"}}}}
    """
    write(tmp_path, {"demo/below/lost.yaml": "checks: []"})
    warnings = "\n".join(catalogue(tmp_path, text).warnings)
    for expected in (
        "below: its files are not read",
        "system 'demmo' matches nothing; did you mean 'demo'?",
        "system 'x*' matches nothing",
        "severity 'SEV1' matches nothing",
        "check 'b' matches nothing",
        "label a=b matches no check",
        "fires when either the day or the weekday matches",
        "timeout 10s is longer than its interval 5s",
        "target < 2s and critical > 1s overlap",
    ):
        assert expected in warnings


def test_fingerprints_follow_what_matters_to_state(tmp_path: Path) -> None:
    def fingerprint(number: int, check: str, **environment: str) -> str:
        return catalogue(tmp_path / str(number), f"checks: [{check}]", **environment).checks["demo/a"].fingerprint

    base = "{name: a, every: 1m, probe: {type: web, url: 'http://x', password: '${PW:-hunter2}'}}"
    variants = [
        base,
        base.replace("every: 1m", "every: 2m"),
        base.replace("http://x", "http://y"),
        base.replace("every: 1m", "every: 1m, thresholds: {measure: latency, critical: '> 1s'}"),
        base.replace("every: 1m", "every: 1m, unknown: critical"),
        base.replace("every: 1m", "every: 1m, flapping: false"),
    ]
    prints = [fingerprint(i, text) for i, text in enumerate(variants)]
    assert len(set(prints)) == len(variants)
    same = base.replace("every: 1m", "every: 60, title: Other, description: words, labels: {a: b}, covers: [x]")
    assert fingerprint(10, same) == prints[0]
    assert fingerprint(11, base, PW="another password") != prints[0]


def test_diff_and_digest(tmp_path: Path) -> None:
    def made(*names: str, every: str = "1m") -> str:
        checks = [f"{{name: {name}, every: {every if name == 'b' else '1m'}, {WEB}}}" for name in names]
        return f"checks: [{', '.join(checks)}]"

    old = catalogue(tmp_path / "1", made("a", "b", "c"))
    new = catalogue(tmp_path / "2", made("b", "c", "d", every="2m"))
    assert diff(old, new) == ({"demo/d"}, {"demo/b"}, {"demo/a"})
    assert diff(old, old) == (frozenset(), frozenset(), frozenset())
    assert old.digest != new.digest
    assert old.digest == catalogue(tmp_path / "3", made("a", "b", "c")).digest


def test_a_digest_follows_the_environment(tmp_path: Path) -> None:
    text = "system: {title: '${T}'}"
    assert catalogue(tmp_path, text, T="a").digest != catalogue(tmp_path, text, T="b").digest
