"""PagerDuty events: the fields and limits of the Events API v2."""

from __future__ import annotations

import pytest

from healthd.notify.pagerduty import resolve, trigger
from tests.factories import make_check
from tests.telling import LATENCY, make_body, make_incident


def test_trigger_says_what_where_and_how_bad() -> None:
    event = trigger(make_body())
    assert event["event_action"] == "trigger"
    assert event["dedup_key"] == "healthd/shop/web/INC-20260102-150405-abc123"
    assert event["client_url"] == "https://healthd.example/incidents/INC-20260102-150405-abc123"
    payload = event["payload"]
    details = payload.pop("custom_details")
    assert payload == {
        "summary": "[SEV2] The Shop: Shop front is slow: latency 1.2s >= 1s",
        "source": "shop/web",
        "severity": "critical",
        "timestamp": "2026-01-02T15:04:05Z",
        "component": "web",
        "group": "shop",
        "class": "latency",
    }
    assert details["values"] == {"latency": "1.2s (critical: >= 1s; target: < 200ms)"}
    assert details["suppressed"] == ["shop/basket"]
    assert "steps (suggested, not executed)" in details["playbook"]
    assert [link["text"] for link in event["links"]] == ["Incident", "Runbook", "Playbook"]


def test_all_events_of_an_incident_carry_the_same_key() -> None:
    keys = {trigger(make_body(event=event))["dedup_key"] for event in ("firing", "worsened", "improved")}
    assert keys == {resolve(make_body(event="resolved"))["dedup_key"]}


def test_long_keys_are_shortened_without_becoming_equal() -> None:
    one, other = ("k" * 300 + tail for tail in "ab")
    keys = [resolve(make_body(incident=make_incident(key=key)))["dedup_key"] for key in (one, other)]
    assert len(set(keys)) == 2
    assert all(len(key) <= 255 for key in keys)


def test_summary_is_one_line_of_at_most_1024_characters() -> None:
    summary = trigger(make_body(incident=make_incident(reason="a\nb " * 2000)))["payload"]["summary"]
    assert len(summary) == 1024
    assert "\n" not in summary


@pytest.mark.parametrize("url", ["docs/runbook.md", "javascript:alert(1)"])
def test_only_web_addresses_become_links(url: str) -> None:
    event = trigger(make_body(check=make_check(thresholds=(LATENCY,), runbook_url=url), playbook=None, public_url=""))
    assert event["links"] == []
    assert "client_url" not in event
