"""Variables in catalogue files: filled in, explained when missing, never shown when secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthd.catalogue import CatalogueError
from healthd.model.redact import Redactor
from tests.pure.catalogue_samples import WEB, catalogue, lines

SECRET = "s3cr3t-value-77"


def one(**params: str) -> str:
    inside = ", ".join(f"{k}: {v}" for k, v in {"url": "'http://x'", **params}.items())
    return f"checks:\n- {{name: a, every: 1m, probe: {{type: web, {inside}}}}}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("http://${HOST}", "http://db"),
        ("http://${HOST}:${PORT}/", "http://db:80/"),
        ("http://${NONE:-fallback}", "http://fallback"),
        ("http://${EMPTY:-fallback}", "http://fallback"),
        ("http://x${EMPTY}", "http://x"),
        ("http://${NONE:-}", "http://"),
        ("http://$${HOST}", "http://${HOST}"),
        ("http://$HOST$", "http://$HOST$"),
        ("http://${NONE:-a:-b}", "http://a:-b"),
    ],
)
def test_substitution(tmp_path: Path, text: str, value: str) -> None:
    found = catalogue(tmp_path, one(url=f'"{text}"'), HOST="db", PORT="80", EMPTY="")
    assert found.checks["demo/a"].probe.params.url == value


def test_values_are_coerced_to_what_the_parameter_is(tmp_path: Path) -> None:
    params = catalogue(tmp_path, one(port='"${P}"', words='"${W}"'), P="81", W="true").checks["demo/a"].probe.params
    assert (params.port, params.words) == (81, True)


def test_variables_work_everywhere_not_only_in_parameters(tmp_path: Path) -> None:
    text = f"""
        system: {{title: "${{T}}", timezone: "${{Z}}"}}
        checks: [{{name: a, every: "${{E}}", enabled: "${{ON}}", {WEB},
                  thresholds: {{measure: latency, critical: "> ${{LIMIT}}"}}}}]
    """
    found = catalogue(tmp_path, text, T="Title", Z="Asia/Tokyo", E="5m", ON="no", LIMIT="2s")
    check = found.checks["demo/a"]
    assert (found.systems["demo"].title, check.rules[0].zone.key, check.enabled) == ("Title", "Asia/Tokyo", False)
    assert str(check.thresholds[-1].critical) == "> 2s"


def test_an_empty_cron_adds_nothing(tmp_path: Path) -> None:
    text = f'checks: [{{name: a, every: 1m, cron: "${{AGAIN:-}}", {WEB}}}]'
    assert len(catalogue(tmp_path, text).checks["demo/a"].rules) == 1
    assert catalogue(tmp_path, text, AGAIN="* * * * *").checks["demo/a"].rules[1].crons == ("* * * * *",)


def test_mounted_secret_files(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(f"{SECRET}\n")
    found = catalogue(tmp_path, one(password='"${PW}"'), PW_FILE=str(tmp_path / "pw"))
    assert found.checks["demo/a"].probe.params.password.get_secret_value() == SECRET
    assert SECRET in found.secrets
    found = catalogue(tmp_path, one(password='"${PW}"'), PW="given", PW_FILE=str(tmp_path / "pw"))
    assert found.checks["demo/a"].probe.params.password.get_secret_value() == "given"


def test_a_mounted_file_that_cannot_be_read(tmp_path: Path) -> None:
    (told,) = lines(tmp_path, one(password='"${PW}"'), PW_FILE="/nonexistent/pw")
    assert told == "demo/system.yaml:2: check demo/a: PW_FILE: cannot read /nonexistent/pw: No such file or directory"


def test_missing_variables_name_whoever_needs_them(tmp_path: Path) -> None:
    text = """
        defaults: {probe: {queue: {url: "${QUEUE_URL}"}}}
        x-web: &web {type: web, url: "${WEB_URL}"}
        x-unused: "${NEVER_NEEDED}"
        checks:
        - {name: a, every: 1m, probe: *web}
        - {name: b, every: 1m, probe: *web}
        - {name: c, every: 1m, probe: {type: queue}}
        - {name: d, every: 1m, probe: {type: queue, url: own}}
        channels: {ops: {type: hook, url: "${OPS_URL}"}}
        system: {title: "${TITLE}"}
    """
    told = lines(tmp_path, text)
    assert told == [
        "demo/system.yaml:2: the variable QUEUE_URL is not set; needed by check demo/c; "
        "set QUEUE_URL or QUEUE_URL_FILE, or write ${QUEUE_URL:-default}",
        "demo/system.yaml:3: the variable WEB_URL is not set; needed by check demo/a, check demo/b; "
        "set WEB_URL or WEB_URL_FILE, or write ${WEB_URL:-default}",
        "demo/system.yaml:10: the variable OPS_URL is not set; needed by channel 'ops'; "
        "set OPS_URL or OPS_URL_FILE, or write ${OPS_URL:-default}",
        "demo/system.yaml:11: the variable TITLE is not set; needed by system; "
        "set TITLE or TITLE_FILE, or write ${TITLE:-default}",
    ]


@pytest.mark.parametrize("text", ["${}", "${A B}", "${A", "${A:?must}", "${A-x}", "${A:-${B}}", "${1}"])
def test_references_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (told,) = lines(tmp_path, one(url=f"'{text}'"), A="x", B="y")
    assert "check demo/a: a variable reference that cannot be read; expected ${NAME} or ${NAME:-default}" in told


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("DB_PASSWORD", SECRET, {SECRET}),
        ("API_TOKEN", SECRET, {SECRET}),
        ("CLIENT_SECRET", SECRET, {SECRET}),
        ("ROUTING_KEY", SECRET, {SECRET}),
        ("SLACK_WEBHOOK", "https://hooks.example/x/y", {"https://hooks.example/x/y"}),
        ("DATABASE_URL", "postgresql://user:p%40ss@db/app", {"p%40ss", "p@ss"}),
        ("DATABASE_URL", "postgresql://db/app", set()),
        ("HOST", "db.example", set()),
    ],
)
def test_secrets_are_known_by_name_and_form(tmp_path: Path, name: str, value: str, secrets: set[str]) -> None:
    assert catalogue(tmp_path, f'system: {{title: "${{{name}}}"}}', **{name: value}).secrets == secrets


def test_whatever_lands_in_a_secret_parameter_is_secret(tmp_path: Path) -> None:
    text = one(password='"${PLAIN_NAME}"') + "\n- {name: b, every: 1m, probe: {type: queue, url: literal-url}}"
    found = catalogue(tmp_path, text, PLAIN_NAME=SECRET)
    assert found.secrets == {SECRET, "literal-url"}
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        one(url='"${V}"'),  # a validator that quotes its input
        one(port='"${V}"'),
        one(words='"${V}"'),
        one(password='["${V}"]'),
        one(headers='"${V}"'),
        'system: {timezone: "${V}"}',
        'system: {name: "${V} "}',
        'severities: {S1: {pagerduty: "${V}", response: "${V}"}}',
        'cadences: {c: {every: "${V}"}}',
        'cadences: {c: {cron: "${V}"}}',
        'cadences: {c: {on: "${V}", at: "${V}"}}',
        'thresholds: {r: {critical: "${V}", unit: "${V}"}}',
        f'checks: [{{name: a, every: "${{V}}", timeout: "${{V}}", {WEB}}}]',
        f'checks: [{{name: a, cron: "${{V}}", {WEB}}}]',
        f'checks: [{{name: a, every: 1m, {WEB}, thresholds: {{measure: latency, critical: "= ${{V}}"}}}}]',
        f'checks: [{{name: a, every: 1m, {WEB}, thresholds: {{measure: "${{V}}", critical: "> 1"}}}}]',
        f'checks: [{{name: a, cadence: "${{V}}", playbook: "${{V}}", depends_on: "${{V}}", {WEB}}}]',
        f'checks: [{{name: a, every: 1m, thresholds: "${{V}}", severity: "${{V}}", {WEB}}}]\nseverities: {{S: }}',
        'checks: [{name: a, every: 1m, probe: {type: "${V}"}}]',
        'channels: {c: {type: "${V}"}}',
        'channels: {c: {type: hook, url: ["${V}"]}}',
        'routes: [{channels: "${V}", levels: "${V}"}]',
        'playbooks: {p: {severity: "${V}", remediation: [["${V}"]]}}\nseverities: {S: }',
    ],
)
@pytest.mark.parametrize("value", [SECRET, "postgres://u:s3cr3t-value-77@db/x", "s3cr3t-value-77 5MB"])
def test_no_message_shows_a_substituted_value(tmp_path: Path, text: str, value: str) -> None:
    try:
        told = "\n".join(catalogue(tmp_path, text, V=value).warnings)
    except CatalogueError as error:
        told = str(error)
        assert "system.yaml:" in told
    assert "s3cr3t" not in told


def test_of_a_secret_url_only_the_password_is_hidden(tmp_path: Path) -> None:
    text = "checks: [{name: a, every: 1m, probe: {type: queue, url: 'redis://me:hunter2@cache'}}]"
    assert catalogue(tmp_path, text).secrets == {"hunter2"}


def test_the_name_of_a_value_that_a_probe_fills_in_is_no_secret(tmp_path: Path) -> None:
    text = "checks: [{name: a, every: 1m, probe: {type: queue, url: '{{token}}'}}]"
    assert catalogue(tmp_path, text).secrets == frozenset()


def test_a_password_that_is_the_users_name_does_not_hide_that_name(tmp_path: Path) -> None:
    url = "postgresql://postgres:postgres@db/postgres"
    text = f"checks: [{{name: a, every: 1m, probe: {{type: queue, url: '{url}'}}}}]"
    redact = Redactor(catalogue(tmp_path, text).secrets)
    assert redact('no such user "postgres" (postgres@db/postgres)') == 'no such user "postgres" (postgres@db/postgres)'
    assert "postgres:postgres" not in redact(f"{url} and {url}?sslmode=require")


def test_names_and_references_may_come_from_variables(tmp_path: Path) -> None:
    text = f"""
        checks:
        - {{name: "${{N}}", every: 1m, {WEB}}}
        - {{name: b, every: 1m, {WEB}, depends_on: ["${{N}}", "demo/${{N}}"]}}
    """
    assert catalogue(tmp_path, text, N="first").checks["demo/b"].depends_on == ("demo/first",)
    assert "set N or N_FILE" in "".join(lines(tmp_path, text))


def test_literal_secrets_are_not_shown_either(tmp_path: Path) -> None:
    told = "\n".join(lines(tmp_path, one(password=f"[{SECRET}]", port=f"'http://u:{SECRET}@h'")))
    assert SECRET not in told
    assert "expected a whole number" in told
