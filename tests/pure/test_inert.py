"""What production says stays text, wherever it is shown: no link, picture, mention, row, heading or line of its own."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthd.incidents.postmortem import draft
from healthd.model.inert import inert
from healthd.model.outcomes import Evidence
from healthd.notify.mail_text import compose_mail
from healthd.notify.markdown import to_html, to_slack
from tests.pure.test_postmortem import facts
from tests.telling import make_incident, make_message

HOSTILE = (
    "[Acknowledge](https://evil.example/x)", "![](https://evil.example/seen.png)", "<img src=https://evil.example>",
    "<https://evil.example|Acknowledge>", "<!channel>", "<@U123>", "a | b\n| c | d |", "```\n# Owned\n```", "\\| x",
    "\x1b[2J\x1b]8;;https://evil.example\x07x", "safe \u202etxt.exe\u202c", "a\u2028b",
    "</pre><script>alert(1)</script>",
    "[x][y]\n\n[y]: https://evil.example", "x" * 1_000_000,
)  # fmt: skip


@given(st.text("[]()<>!/\\|`\n\u202e\x1b a", max_size=40) | st.sampled_from(HOSTILE))
def test_nothing_in_it_is_markup(text: str) -> None:
    made = inert(text)
    assert "\n" not in made
    assert "](" not in made
    assert not re.search(r"<[A-Za-z/!?]", made)
    assert not re.search("[\x00-\x1f\u2028\u202a-\u202e\u2066-\u2069]", made)


@given(st.text("abc <>=|.-", max_size=20).map(lambda text: " ".join(text.split())))
def test_limits_and_prose_stay_as_they_are(text: str) -> None:
    assert inert(text).replace("< ", "<") == text.replace("< ", "<")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_post_mortem_keeps_its_form(text: str) -> None:
    plain, wild = facts(), facts()
    members = tuple(replace(member, reason=text) for member in wild.members)
    wild = replace(wild, members=members, incident=replace(wild.incident, reason=text))
    made = draft(wild)
    outside = re.sub(r"^(`{3,})\n.*?\n\1$", "", made, flags=re.DOTALL | re.MULTILINE)
    assert outside.count("\n#") == draft(plain).count("\n#")
    assert not re.search(r"\]\(https://evil|<(img|script|https)", outside)
    assert all(row.replace("\\\\", "").replace("\\|", "").count("|") == 6 for row in _rows(outside, "failed check"))


def _rows(text: str, head: str) -> list[str]:
    return re.findall(rf"^\| {head}.*?(?=\n\n)", text, re.MULTILINE | re.DOTALL)[0].split("\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_in_mail_and_in_reports_that_are_told(text: str) -> None:
    incident = make_incident(title=text, reason=text)
    mail = compose_mail(
        make_message(incident=incident, evidence=(Evidence(text, text),)), "a@b.example", ["c@d.example"]
    )
    assert "\n" not in mail["Subject"]
    assert {part.get_content_type() for part in mail.walk()} >= {"text/plain", "text/html"}
    page = next(part.get_content() for part in mail.walk() if part.get_content_type() == "text/html")
    assert not re.search(r"<(script|img)|href=.https://evil|[\x1b\u2028\u202a-\u202e]", page)
    for shown in (to_html(inert(text)), "".join(to_slack(inert(text), 3000))):
        assert not re.search(r"href=.https://evil|<https://evil|<!channel>", shown)
