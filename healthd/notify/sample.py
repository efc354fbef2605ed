"""An incident that never was, for trying templates: everything a message can hold, and nothing of anybody's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from healthd.model.incidents import Message
from healthd.model.times import rfc3339
from healthd.notify.compose import compose_test
from healthd.notify.lead import first_step, lead


def sample_body(at: datetime, public_url: str = "") -> dict[str, Any]:
    """The body of a message about an example."""
    body = dict(compose_test("example", at, public_url).body)
    base = public_url.rstrip("/") or "https://healthd.example"
    example = body | {
        "event": "firing",
        "pagerduty": "critical",
        "incident": {
            **body["incident"],
            "id": "INC-20260102-150405-example0",
            "url": f"{base}/incidents/INC-20260102-150405-example0",
            "title": "The shop is slow",
            "severity": "SEV2",
            "level": "critical",
            "opened_at": rfc3339(at - timedelta(minutes=5)),
            "reason": "latency 1.2s >= 1s",
        },
        "system": {"name": "shop", "title": "The Shop"},
        "check": {
            **body["check"],
            "id": "shop/web",
            "name": "web",
            "title": "The shop",
            "url": f"{base}/checks/shop/web",
            "runbook_url": "https://runbook.example/shop",
            "labels": {"team": "web"},
        },
        "values": [
            {
                "measure": "latency", "series": "", "value": 1.2, "text": "1.2s", "unit": "seconds",
                "level": "critical", "limit": ">= 1s", "target": "< 200ms", "acceptable": "", "warning": ">= 500ms",
                "critical": ">= 1s",
            }
        ],
        "evidence": [{"title": "Answer", "text": "HTTP/1.1 200 OK"}],
        "playbook": {
            "name": "slow", "title": "The shop is slow", "url": "https://runbook.example/slow",
            "likely_cause": "the cache is cold", "symptoms": ["pages take long"],
            "diagnostics": [{"title": "Look at the cache", "when": "", "command": "redis-cli info memory"}],
            "remediation": [{"title": "Warm it", "when": "after a restart", "command": "shopctl warm"}],
        },
        "diagnosis": {
            "at": rfc3339(at), "seconds": 1.5, "steps": 1, "answered": 1,
            "findings": [
                {"title": "Look at the cache", "level": "critical", "text": "Redis uses 97% of its memory",
                 "command": "redis-cli memory doctor"}
            ],
            "results": [
                {"title": "Look at the cache", "level": "critical", "text": "97%", "evidence": "", "command": "",
                 "error": ""}
            ],
        },
        "suppressed": ["shop/basket"],
    }  # fmt: skip
    example["first_step"] = first_step(example)
    example["lead"] = lead(example)
    return example


def as_test(
    channel: str, at: datetime, body: Mapping[str, Any], made: tuple[str, str], redact: Callable[[str], str]
) -> Message:
    """A test message that shows what a template made of `body`: (title, text). It opens and ends nothing real."""
    test = compose_test(channel, at)
    custom = {"title": redact(f"[Test] {made[0]}"), "text": redact(made[1])}
    return replace(test, body={**body, **test.body, "custom": custom})
