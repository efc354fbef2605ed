"""Templates: what they can say, what they cannot do, and what becomes of one that fails."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from healthd.model.incidents import Message, Notice
from healthd.model.redact import Redactor
from healthd.notify import compose_notice
from healthd.notify.context import Context
from healthd.notify.dressing import Dressed
from healthd.notify.options import Options, Templates
from healthd.notify.slack_blocks import render
from healthd.notify.teams import card
from healthd.notify.templates import MAX_TEXT, TemplateProblem, fill, fill_texts
from healthd.notify.words import plain
from tests.telling import AT, make_body, make_incident, make_message


class Kept:
    """A channel that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    async def close(self) -> None:
        """Nothing is open."""


async def dressed(body: dict[str, Any], observed: list[Any] | None = None, **options: Any) -> Message:
    kept = Kept()
    seen = observed if observed is not None else []
    context = Context("team", redact=Redactor(["verysecret"]), observe=lambda *what: seen.append(what))
    message = make_message()
    await Dressed(kept, Options.model_validate(options), context).send(
        Message(message.id, "team", message.group, body["event"], AT, body)
    )
    return kept.messages[0]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ headline }}", "Firing (CRITICAL): The Shop: Shop front is slow"),
        ("{{ incident.severity }}/{{ check.id }}/{{ system.name }}", "SEV2/shop/web/shop"),
        ("{% for v in values %}{{ v.measure }}={{ v.text }} ({{ v.limit }}){% endfor %}", "latency=1.2s (>= 1s)"),
        ("{{ likely_cause }}: {{ first_command }}", "the cache is cold: redis-cli info memory"),
        ('{{ incident.opened_at|time("Europe/Berlin", "%H:%M") }}', "15:59"),
        ("{{ 90|duration }}", "1m 30s"),
        ("{{ links|map(attribute='text')|join(', ') }}", "Incident, Check, Runbook, Playbook"),
        ("{{ suppressed }}", '["shop/basket"]'),
        ("{{ nothing }}{{ diagnosis }}|", "|"),
        ("{% if diagnosis %}x{% else %}y{% endif %}", "y"),
        ("{{ check.labels.get('team', 'nobody') }}", "nobody"),
        ("{% macro row(v) %}* {{ v.measure }}{% endmacro %}{{ row(values[0]) }}", "* latency"),
        ("{% set ns = namespace(n=1) %}{% set ns.n = ns.n + 2 %}{{ ns.n }}", "3"),
    ],
)
def test_what_templates_can_say(text: str, made: str) -> None:
    assert fill_texts("", text, make_body()).text == made


def test_what_has_no_template_is_the_channels_own() -> None:
    filled = fill_texts("{{ sign }} {{ status }}", "", make_body())
    assert filled.title == "🔴 Firing"
    assert filled.text.startswith("latency 1.2s >= 1s")


def test_a_notice_has_templates_too() -> None:
    body = compose_notice(Notice("report", "R", "shop", "Morning", "# x", AT), None, "", str)
    assert fill_texts("{{ notice.title }}", "{{ notice.text|plain }}", body).text == "x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ x. }}", "text, line 1"),
        ("a\n{% for %}", "text, line 2"),
        ("{{ nope.foo }}", "'nope' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ values.append(1) }}", "SecurityError"),
        ("{{ incident.update({}) }}", "SecurityError"),
        ("{{ '{:>999999999}'.format(1) }}", "SecurityError"),
        ("{{ 'a'.ljust(1000000000) }}", "SecurityError"),
        ("{{ (1).to_bytes(1000000000, 'big') }}", "SecurityError"),
        ("{{ 'a' * 1000000000 }}", "TooMuchError"),
        ("{{ 9 ** 9 ** 9 }}", "TooMuchError"),
        ("{{ range(100000)|list }}", "TooMuchError"),
        ("{% for i in range(999) %}{% for j in range(999) %}{% endfor %}{% endfor %}", "TooMuchError"),
        ("{% set a='aaaaaaaa' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}", "TooMuchError"),
        ("{% set a='aaaaaaaa' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40 + "{{ a }}", "TooMuchError"),
        ("{% set a='aaaaaaaa' %}" + "{% set a = a|replace('a', 'aa') %}" * 40 + "{{ a }}", "TooMuchError"),
        ("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}", "TooMuchError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself without end"),
        ("{% include '/etc/passwd' %}", "TypeError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ 'x'|center(99) }}", "No filter named 'center'"),
        ("{{ cycler('a') }}", "'cycler' is undefined"),
    ],
)
def test_what_they_cannot_do(text: str, words: str) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateProblem) as problem:
        fill_texts("", text, make_body())
    assert words in problem.value.reason
    assert time.monotonic() - started < 20


def test_a_long_text_is_cut() -> None:
    filled = fill_texts("", "{% for i in range(900) %}{{ incident.reason }} and so on{% endfor %}", make_body())
    assert len(filled.text) <= MAX_TEXT


@given(st.text(alphabet="{}%# abci.|()[]'\"~+*1\n", max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_template_is_filled_or_refused(text: str) -> None:
    with suppress(TemplateProblem):
        filled = fill_texts(text, text, make_body())
        assert len(filled.title) + len(filled.text) < 20_000


async def test_a_file_whose_first_line_is_the_title(tmp_path: Path) -> None:
    file = tmp_path / "message.j2"
    file.write_text("{{ incident.title }} now\n**{{ incident.reason }}**\n", encoding="utf-8")
    message = await dressed(make_body(), templates={"file": str(file)})
    assert message.body["custom"] == {"title": "Shop front is slow now", "text": "**latency 1.2s >= 1s**"}
    file.unlink()
    message = await dressed(make_body(), templates={"title": "x"})
    with pytest.raises(TemplateProblem, match="cannot read"):
        fill(Templates.model_construct(file=str(file)), make_body())


@pytest.mark.parametrize("templates", [{}, {"file": "/nowhere"}, {"file": "/x", "text": "y"}, {"title": "x" * 30_000}])
def test_templates_that_cannot_be(templates: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Templates.model_validate(templates)


async def test_one_that_fails_leaves_the_message_with_a_note_and_is_counted() -> None:
    observed: list[Any] = []
    message = await dressed(make_body(), observed, templates={"text": "{{ nope.verysecret }}"})
    assert "custom" not in message.body
    assert message.body["incident"]["reason"].startswith("latency 1.2s >= 1s (the channel's template failed: text: ")
    assert observed == [("team", "template_failed")]
    body = compose_notice(Notice("report", "R", "shop", "Morning", "well", AT), None, "", str)
    assert "template failed" in (await dressed(body, templates={"text": "{{ 1/0 }}"})).body["notice"]["text"]


@pytest.mark.parametrize(
    "templates",
    [{"title": "{{ sign }} {{ incident.severity }}"}, {"title": "x", "text": "{{ check.name }}"}],
)
async def test_what_is_written_for_incidents_leaves_notices_as_they_are(templates: dict[str, str]) -> None:
    observed: list[Any] = []
    body = compose_notice(Notice("report", "R", "shop", "Morning", "well", AT), None, "", str)
    assert (await dressed(body, observed, templates=templates)).body == body
    assert observed == []
    both = {"text": "{% if notice is defined %}{{ notice.title }}{% else %}{{ incident.title }}{% endif %}"}
    assert (await dressed(body, observed, templates=both)).body["custom"]["text"] == "Morning"


async def test_a_title_alone_leaves_the_channels_own_text() -> None:
    body = (await dressed(make_body(), templates={"title": "{{ incident.severity }}!"})).body
    assert body["custom"] == {"title": "SEV2!"}
    own = render(make_body())["blocks"]
    assert render(body)["blocks"][0]["text"]["text"] == "SEV2!"
    assert render(body)["blocks"][1:] == own[1:]
    assert "Answer:\nHTTP/1.1 200 OK" in plain(body)


async def test_its_markdown_is_plain_text_where_markdown_is_not_understood() -> None:
    text = "**{{ incident.title }}** by `code`, [here](https://x.example)"
    body = (await dressed(make_body(), templates={"text": text})).body
    assert plain(body) == "Shop front is slow by code, here (https://x.example)"
    shown = json.dumps(card(body))
    assert "Shop front is slow by code, here (https://x.example)" in shown
    assert "**" not in shown


async def test_a_secret_put_together_by_a_template_is_redacted() -> None:
    message = await dressed(
        make_body(incident=make_incident(title="very", reason="secret")),
        templates={"title": "{{ incident.title ~ incident.reason }}", "text": "{{ incident.title }}secret"},
    )
    assert message.body["custom"] == {"title": "<redacted>", "text": "<redacted>"}


async def test_brief_messages_say_that_and_not_what_exactly() -> None:
    message = await dressed(make_body(), details="brief")
    assert message.body["values"] == message.body["evidence"] == []
    assert message.body["playbook"] is None
    assert message.body["incident"]["reason"] == ""
    assert message.body["incident"]["title"] == "Shop front is slow"
