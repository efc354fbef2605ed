"""What Slack and PagerDuty refuse, from their published formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BLOCK_TYPES = {"actions", "context", "divider", "file", "header", "image", "input", "rich_text", "section", "video"}
_PAGERDUTY_SEVERITIES = {"critical", "error", "warning", "info"}
_PAGERDUTY_ACTIONS = {"trigger", "acknowledge", "resolve"}


def slack_problem(body: Mapping[str, Any] | None) -> str:
    """The word Slack's incoming webhooks would answer, empty when the message is fine."""
    if body is None:
        return "invalid_payload"
    blocks = body.get("blocks") or [
        block for attachment in body.get("attachments") or [] for block in attachment.get("blocks", [])
    ]
    if not body.get("text") and not blocks:
        return "no_text"
    if len(blocks) > 50 or any(_block_problem(block) for block in blocks):
        return "invalid_blocks"
    return ""


def _block_problem(block: Any) -> bool:
    """Slack's limits: known type, 150 characters in a header, 3000 in a section's text, 10 fields of 2000."""
    if not isinstance(block, dict) or block.get("type") not in _BLOCK_TYPES:
        return True
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": str(heading)}}:
            return not 0 < len(heading) <= 150
        case {"type": "header"}:
            return True
        case {"type": "section"}:
            text, fields = block.get("text"), block.get("fields", [])
            return (
                (text is None and not fields)
                or (text is not None and not _fits(text, 3000))
                or len(fields) > 10
                or not all(_fits(entry, 2000) for entry in fields)
            )
        case {"type": "context"}:
            return not 0 < len(block.get("elements", [])) <= 10
    return False


def _fits(text: Any, limit: int) -> bool:
    return (
        isinstance(text, dict)
        and text.get("type") in ("plain_text", "mrkdwn")
        and isinstance(text.get("text"), str)
        and 0 < len(text["text"]) <= limit
    )


def pagerduty_problems(body: Mapping[str, Any] | None, routing_key: str) -> list[str]:
    """What the Events API v2 would list under `errors`."""
    if body is None:
        return ["the body is not a JSON object"]
    problems = []
    action = body.get("event_action")
    if body.get("routing_key") != routing_key:
        problems.append("'routing_key' is missing or unknown")
    if action not in _PAGERDUTY_ACTIONS:
        problems.append("'event_action' is not one of trigger, acknowledge, resolve")
    if not body.get("dedup_key") and action != "trigger":
        problems.append("'dedup_key' is missing")
    if len(str(body.get("dedup_key", ""))) > 255:
        problems.append("'dedup_key' is longer than 255 characters")
    if action == "trigger":
        problems += _payload_problems(body.get("payload"))
    return problems


def _payload_problems(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing"]
    problems = [f"'payload.{name}' is missing or blank" for name in ("summary", "source") if not payload.get(name)]
    if len(str(payload.get("summary", ""))) > 1024:
        problems.append("'payload.summary' is longer than 1024 characters")
    if payload.get("severity") not in _PAGERDUTY_SEVERITIES:
        problems.append("'payload.severity' is not one of critical, error, warning, info")
    return problems
