"""Slack messages stay within the documented limits of Block Kit whatever is in them.

https://docs.slack.dev/reference/block-kit/blocks: 50 blocks, header 150, section text 3000, 10 fields of 2000,
10 context elements. Lengths are taken in UTF-16 units, the strictest reading.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.model.catalogue import Playbook, Step
from healthd.model.outcomes import Evidence, Level, Verdict
from healthd.model.units import Unit
from healthd.notify import compose_test
from healthd.notify.slack_blocks import escape, render
from tests.factories import make_check
from tests.telling import AT, LATENCY, make_body, make_incident, make_system

# Slack's own syntax: a link, a date, and the three escapes. Any other use of & < > would be ours to answer for.
OURS = re.compile(r"<https?://[^<>|]+\|[A-Za-z]+>|<!date\^\d+\^[^<>|]+\|[^<>|]+>|&(amp|lt|gt);")


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def texts(payload: Any) -> list[dict[str, Any]]:
    """Every text object within."""
    if isinstance(payload, dict):
        found = [payload] if payload.get("type") in ("mrkdwn", "plain_text") else []
        return found + [t for value in payload.values() for t in texts(value)]
    return [t for item in payload for t in texts(item)] if isinstance(payload, list) else []


def assert_valid(payload: dict[str, Any]) -> None:
    assert 0 < units(payload["text"]) <= 4000
    assert 0 < len(payload["blocks"]) <= 50
    for block in payload["blocks"]:
        if block["type"] == "header":
            assert block["text"]["type"] == "plain_text"
            assert 0 < units(block["text"]["text"]) <= 150
        elif block["type"] == "section":
            assert "text" in block or block["fields"]
            assert units(block.get("text", {}).get("text", "")) <= 3000
            assert len(block.get("fields", [])) <= 10
            assert all(units(field["text"]) <= 2000 for field in block.get("fields", []))
        else:
            assert block["type"] == "context"
            assert 0 < len(block["elements"]) <= 10
    for text in texts(payload["blocks"]):
        assert text["text"].strip()
        assert units(text["text"]) <= 3000
        if text["type"] == "mrkdwn":
            assert not set(OURS.sub("", text["text"])) & set("<>&"), text
            assert text["verbatim"] is True
    json.dumps(payload, allow_nan=False)


# Text as nasty as it comes: Slack's special characters, code fences, emoji, and far too much of it.
NASTY = st.one_of(
    st.text(alphabet=st.sampled_from("&<>`*_~|!@#\n 😀é"), max_size=300),
    st.sampled_from(["&" * 5000, "😀" * 5000, "```" * 1000, "<!channel> <@U1> <https://x|y>", "", " ", "x" * 9000]),
    st.text(max_size=80),
)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_message_keeps_within_the_limits(data: st.DataObject) -> None:
    def text() -> str:
        return data.draw(NASTY)

    count = data.draw(st.sampled_from([0, 1, 10, 11, 60]))
    step = Step(text(), text(), text())
    verdict = Verdict("latency", text(), text(), text(), None, data.draw(st.sampled_from(Level)), text())
    incident = make_incident(title=text(), reason=text(), severity=text(), acknowledged_by=text())
    body = make_body(
        event=data.draw(st.sampled_from(["firing", "worsened", "improved", "resolved"])),
        incident=incident,
        check=make_check(name=text(), thresholds=(LATENCY,), runbook_url=text()),
        system=make_system(title=text()),
        verdicts=[verdict] * count,
        evidence=[Evidence(text(), text())] * count,
        playbook=Playbook(
            text(), text(), url="https://x/?a&b|" + text(), likely_cause=text(), remediation=(step,) * count
        ),
        suppressed=[text()] * count,
        public_url="https://healthd.example",
    )
    assert_valid(render(body))


@given(NASTY, st.integers(10, 400))
def test_escaping_never_exceeds_its_limit_nor_cuts_an_escape(text: str, limit: int) -> None:
    escaped = escape(text, limit)
    assert units(escaped) <= limit
    assert not set(re.sub("&(amp|lt|gt);", "", escaped)) & set("&<>")


def test_all_events_are_told_apart_at_a_glance() -> None:
    events = ["firing", "worsened", "improved", "resolved"]
    payloads = [render(make_body(event=event)) for event in events] + [render(compose_test("team", AT).body)]
    headers = [payload["blocks"][0]["text"]["text"] for payload in payloads]
    assert len({header.split()[0] for header in headers}) == 5
    assert len({header.split()[1] for header in headers}) == 5
    assert len({payload["text"].split()[0] for payload in payloads}) == 5


def test_warning_and_critical_look_different() -> None:
    critical, warning = (
        render(make_body(incident=make_incident(level=level)))["blocks"][0]["text"]["text"]
        for level in (Level.CRITICAL, Level.WARNING)
    )
    assert critical.startswith("🔴 Firing (CRITICAL): ")
    assert warning.startswith("🟠 Firing (WARNING): ")


def test_shows_what_a_person_needs() -> None:
    shown = "\n".join(text["text"] for text in texts(render(make_body())["blocks"]))
    for part in [
        "Shop front is slow", "latency 1.2s &gt;= 1s", "*latency*", "1.2s", "limit: &gt;= 1s", "target: &lt; 200ms",
        "*The Shop*", "SEV2", "shop/web", "HTTP/1.1 200 OK", "suggested, not executed", "Warm the cache",
        "after a restart", "a=1&amp;b=2", "shop/basket",
        "<https://healthd.example/incidents/INC-20260102-150405-abc123|Incident>",
        "<https://runbook.example/shop|Runbook>", "<https://runbook.example/web-slow|Playbook>",
    ]:  # fmt: skip
        assert part in shown


def test_resolved_says_how_long_it_lasted_and_asks_for_nothing_more() -> None:
    incident = make_incident(resolved_at=make_incident().opened_at + timedelta(minutes=7, seconds=3))
    shown = "\n".join(text["text"] for text in texts(render(make_body(event="resolved", incident=incident))["blocks"]))
    assert "it was: latency 1.2s" in shown
    assert "lasted 7m 3s" in shown
    assert "suggested" not in shown


def test_ten_values_and_a_count_of_the_rest() -> None:
    verdicts = [Verdict("latency", "latency", f"pod-{i}", 1.0, Unit.SECONDS, Level.CRITICAL) for i in range(13)]
    blocks = render(make_body(verdicts=verdicts))["blocks"]
    assert [len(block["fields"]) for block in blocks if "fields" in block] == [10]
    assert "and 3 more values" in [text["text"] for text in texts(blocks)]


@pytest.mark.parametrize("url", ["docs/runbook.md#shop", "javascript:alert(1)"])
def test_what_is_no_web_address_is_shown_but_not_linked(url: str) -> None:
    blocks = render(make_body(check=make_check(runbook_url=url)))["blocks"]
    assert f"Runbook: {url}" in blocks[-1]["elements"][0]["text"]
