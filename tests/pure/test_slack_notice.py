"""Notices and news in Slack, and the Markdown they are written in."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.model.incidents import Notice
from healthd.notify import compose_notice
from healthd.notify.markdown import to_html, to_plain, to_slack
from healthd.notify.slack_blocks import render, reply
from healthd.notify.words import plain
from tests.pure.test_templates_slack import NASTY, assert_valid, texts, units
from tests.telling import AT, make_body, make_incident

SLACKS_OWN = re.compile(r"<https?://[^<>|\s]+\|[^<>|]+>|<!date\^\d+\^[^<>|]+\|[^<>|]+>|&(amp|lt|gt);")
REPORT = """# Morning

**The Shop**, see [the page](https://healthd.example/reports/1) & more
- first *item* with `code`
  1. nested

| Check | Value |
| --- | ---: |
| `web` | 1.2s |

```
kubectl get pods <all>
```
> said so"""


def make_notice(**overrides: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "kind": "report", "id": "RPT-1", "system": "shop", "title": "Morning: 2 critical", "text": REPORT, "at": AT,
        "path": "/reports/RPT-1", "fields": (("Critical", "2"), ("OK", "17")),
    }  # fmt: skip
    return compose_notice(Notice(**{**fields, **overrides}), None, "https://healthd.example", str)


def shown(payload: dict[str, Any]) -> str:
    return "\n".join(text["text"] for text in texts(payload["blocks"]))


def test_a_notice_is_shown_with_its_facts_and_its_link() -> None:
    payload = render(make_notice())
    assert_valid({**payload, "blocks": [b for b in payload["blocks"] if b["type"] != "section"]})
    text = shown(payload)
    assert payload["text"] == "shop: Morning: 2 critical"
    assert "*The Shop*, see <https://healthd.example/reports/1|the page> &amp; more" in text
    assert "• first _item_ with `code`" in text
    assert "Check  Value\nweb    1.2s" in text
    assert "kubectl get pods &lt;all&gt;" in text
    assert "*Critical*\n2" in text
    assert "<https://healthd.example/reports/RPT-1|Open>" in text


def test_a_long_notice_is_cut_and_leads_to_the_rest() -> None:
    payload = render(make_notice(text="\n".join(f"- check {i}: all is well here" for i in range(2000))))
    assert "|The rest of it>" in shown(payload)
    assert len(payload["blocks"]) < 10


@given(st.lists(NASTY | st.sampled_from(REPORT.splitlines()), max_size=30), NASTY, NASTY)
@settings(max_examples=200, deadline=None)
def test_any_notice_keeps_within_the_limits(lines: list[str], title: str, value: str) -> None:
    payload = render(make_notice(text="\n".join(lines), title=title, fields=((title, value),)))
    assert 0 < len(payload["blocks"]) <= 50
    assert 0 < units(payload["blocks"][0]["text"]["text"]) <= 150
    for text in texts(payload["blocks"]):
        assert 0 < units(text["text"]) <= 3000
        if text["type"] == "mrkdwn":
            assert not set(SLACKS_OWN.sub("", text["text"])) & set("<>&"), text


@given(st.lists(NASTY | st.sampled_from(REPORT.splitlines()), max_size=20))
@settings(deadline=None)
def test_any_markdown_becomes_text_of_the_channel_without_its_markup(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert all(units(piece) <= 500 for piece in to_slack(text, 500))
    tags = set(re.findall(r"</?([a-z0-9]+)", to_html(text)))
    assert tags <= {"h3", "div", "br", "pre", "b", "i", "code", "a", "blockquote", "table", "tr", "th", "td"}
    assert isinstance(to_plain(text), str)


def test_a_link_that_is_no_web_address_stays_text() -> None:
    assert to_slack("[here](javascript:alert(1)) <!channel>") == ["[here](javascript:alert(1)) &lt;!channel&gt;"]
    assert "<a" not in to_html("[here](javascript:alert(1))")


@pytest.mark.parametrize("event", ["updated", "escalated", "acknowledged", "reopened", "improved", "resolved"])
@pytest.mark.parametrize("form", [render, reply])
def test_every_event_has_words(event: str, form: Any) -> None:
    payload = form(make_body(event=event, incident=make_incident(acknowledged_by="ada")))
    assert_valid(payload)
    assert payload["text"].split(":")[0].split(" (")[0] in {
        "Update", "Escalated", "Acknowledged", "Firing again", "Better, not over", "Resolved",
    }  # fmt: skip


def test_what_is_new_is_said_first() -> None:
    update = {"kind": "escalated", "text": "open for 30m: L2 (Tech Lead) is told", "title": "L2"}
    payload = render(make_body(event="escalated", update=update))
    assert payload["blocks"][1]["text"]["text"] == "*open for 30m: L2 (Tech Lead) is told*"
    assert "L2 (Tech Lead)" in payload["text"]


def test_what_the_playbook_supposes_leads_until_more_is_found_and_is_said_once() -> None:
    sections = [block for block in render(make_body())["blocks"] if block["type"] == "section"]
    texts = [block["text"]["text"] for block in sections if "text" in block]
    assert texts[1].startswith("*Likely cause:* the cache is cold\nTry first:\n```\nredis-cli info memory")
    assert sum("the cache is cold" in text for text in texts) == 1


def test_a_diagnosis_leads_with_the_cause_and_the_first_command() -> None:
    incident = make_incident(
        details={
            "diagnosis": {
                "findings": [{"title": "Memory", "level": "critical", "text": "Redis is full", "command": "redis-cli"}],
                "results": [{"title": "Memory", "level": "critical", "text": "97%", "error": ""}],
            }
        }
    )
    body = make_body(event="updated", incident=incident, update={"kind": "diagnosed", "text": "diagnosed: 1 of 1"})
    text = shown(reply(body))
    assert "*Likely cause:* Redis is full" in text
    assert "redis-cli" in text
    assert "🔴 Memory: 97%" in text
    assert "🔴 Memory: 97%" in shown(render(body)), "also in the incident's own channel, where it is no reply"


def test_the_checks_of_a_storm_are_listed_and_the_rest_is_counted() -> None:
    check = {
        "id": "shop/web-1", "title": "Web", "system": "shop", "level": "critical", "severity": "SEV1",
        "since": "2026-01-02T15:04:05Z", "reason": "<down>", "url": "", "recovered": False,
    }  # fmt: skip
    systems = [
        {"name": "shop", "title": "The Shop", "failing": 498, "total": 499},
        {"name": "b", "title": "", "failing": 1, "total": 1},
    ]
    members = {
        "total": 500, "failing": 499, "recovered": 1, "storm": True, "worst": "SEV1", "systems": systems,
        "checks": [check, {**check, "id": "shop/web-2", "recovered": True}], "more": 498,
    }  # fmt: skip
    payload = render(make_body(members=members))
    assert_valid(payload)
    text = shown(payload)
    assert "*499 of 500 checks fail: The Shop 498, b 1*" in text
    assert "🔴 shop/web-1: &lt;down&gt;\n✅ shop/web-2: &lt;down&gt;\nand 498 more" in text
    update = {"kind": "joined", "text": "3 more checks fail"}
    assert "and 498 more" in shown(reply(make_body(event="updated", members=members, update=update)))
    assert "499 of 500 checks fail" in plain(make_body(members=members))
