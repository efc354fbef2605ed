"""Microsoft Teams: cards within their limits, and what a workflow's refusals become."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import ChannelError, Notice
from healthd.model.outcomes import Evidence
from healthd.notify import build_channel, compose_notice, compose_test
from healthd.notify.teams import bounded, card
from tests.pure.test_templates_slack import NASTY
from tests.servers.receiver import Answer, Receiver
from tests.telling import AT, make_body, make_incident, make_message


def content(body: Any) -> dict[str, Any]:
    message = json.loads(bounded(body))
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    found: dict[str, Any] = attachment["content"]
    return found


def test_a_card_leads_with_what_a_person_needs() -> None:
    made = content(make_body())
    assert made["body"][0]["style"] == "attention"
    text = json.dumps(made)
    for part in ("Firing (CRITICAL): The Shop", "Likely cause: the cache is cold", "redis-cli info memory", "SEV2"):
        assert part in text
    assert made["actions"][0] == {
        "type": "Action.OpenUrl", "title": "Incident", "url": "https://healthd.example/incidents/INC-20260102-150405-abc123",
    }  # fmt: skip


@given(st.sampled_from(["firing", "updated", "resolved", "acknowledged"]), NASTY, NASTY)
@settings(max_examples=50, deadline=None)
def test_any_card_fits(event: str, text: str, more: str) -> None:
    evidence = [Evidence(more, text * 20)] * 10
    body = make_body(event=event, incident=make_incident(title=text, reason=more), evidence=evidence)
    assert len(bounded(body)) <= 28_000
    assert content(body)["body"]


def test_a_notice() -> None:
    notice = Notice("report", "RPT-1", "shop", "Morning", "**3** of\n- one", AT, fields=(("OK", "17"),))
    made = card(compose_notice(notice, None, "", str))["attachments"][0]["content"]
    assert made["body"][1]["text"] == "3 of\n\n• one"
    assert made["body"][2]["facts"] == [{"title": "OK", "value": "17"}]


def test_markdown_of_a_stranger_stays_text() -> None:
    body = make_body(incident=make_incident(reason="[click](https://evil.example) **now**"))
    assert r"\\[click\\](https://evil.example) \\*\\*now" in json.dumps(content(body))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((400, {}, '{"error":{"code":"WorkflowTriggerIsNotEnabled"}}'), "the workflow is switched off"),
        ((200, {}, "<html>"), "no Teams workflow"),
        (429, "429 Too Many Requests"),
    ],
)
async def test_refusals(receiver: Receiver, answer: Answer, words: str) -> None:
    receiver.script([answer, 202])
    channel = build_channel(ChannelSpec("t", "teams", {"webhook_url": receiver.url + "/workflows/verysecret"}))
    with pytest.raises(ChannelError, match=words) as error:
        await channel.send(make_message())
    assert "verysecret" not in error.value.reason
    await channel.send(compose_test("t", AT))
    await channel.close()
