"""Microsoft Teams, through a workflow ("Post to a channel when a webhook request is received"), as Adaptive Cards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator

from healthd.model.incidents import ChannelError, Message
from healthd.notify import http, words
from healthd.notify.context import Context
from healthd.notify.markdown import to_plain
from healthd.notify.options import Rate, parse_rate

MAX_CARD = 26_000  # bytes; Teams refuses more than 28 kB
MAX_LINE = 1_500
MAX_TEXT = 4_000
ADVICE = MappingProxyType(
    {
        "WorkflowTriggerIsNotEnabled": "the workflow is switched off: turn it on",
        "DirectApiAuthorizationRequired": 'let "Anyone" trigger the workflow',
        "AuthorizationFailed": "the workflow's address is wrong or was renewed: copy it again",
    }
)
_STYLES = {"critical": "attention", "warning": "warning", "ok": "good"}


class Teams:
    """Posts a card for every event. A workflow does not say what it posted, so nothing can be edited."""

    class Options(http.Options):
        """`webhook_url`: the workflow's address; whoever has it can post, so it is a secret."""

        webhook_url: http.SecretUrl
        rate: Annotated[Rate | None, BeforeValidator(parse_rate)] = Rate(5, timedelta(seconds=5))

    def __init__(self, options: Options, context: Context) -> None:
        self._http = http.HttpSender(options.webhook_url, now=context.now, timeout=options.timeout, advice=ADVICE)

    async def send(self, message: Message) -> None:
        """Post the card. Teams answers 202; a web page is no Teams."""
        accepted = await self._http.post(bounded(message.body))
        if accepted.text.startswith("<"):
            raise ChannelError(f"answered {accepted.status} with a web page: this is no Teams workflow", permanent=True)

    async def close(self) -> None:
        """Release connections."""
        await self._http.close()


def bounded(body: Mapping[str, Any]) -> bytes:
    """The request's body; what is bulky is left out until it fits."""
    content = http.encode(card(body))
    leaner: tuple[dict[str, Any], ...] = (
        {"evidence": []},
        {"values": []},
        {"playbook": None, "diagnosis": None, "suppressed": []},
    )
    for without in leaner:
        if len(content) <= MAX_CARD:
            break
        body = {**body, **without}
        content = http.encode(card(body))
    return content if len(content) <= MAX_CARD else http.encode(_message([_text(words.headline(body))], []))


def card(body: Mapping[str, Any]) -> dict[str, Any]:
    """The message with its card."""
    title = {**_text(words.headline(body), 300), "weight": "bolder", "size": "large"}
    if words.is_notice(body):
        style, parts = "default", _notice(body)
    else:
        over = body["incident"]["resolved_at"]
        style = "good" if over else _STYLES.get(body["incident"]["level"], "default")
        text = words.custom_text(body)
        parts = [_text(to_plain(text), MAX_TEXT)] if text else _incident(body)
    head = {"type": "Container", "style": style, "bleed": True, "items": [title]}
    actions = [{"type": "Action.OpenUrl", "title": text, "url": url} for text, url in words.links(body)[:4]]
    return _message([head, *parts], actions)


def _message(parts: list[dict[str, Any]], actions: list[dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": parts,
    }
    if actions:
        content["actions"] = actions
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [attachment]}


def _notice(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if text := words.custom_text(body):
        return [_text(to_plain(text), MAX_TEXT)]
    facts = {field["name"]: field["value"] for field in body["notice"]["fields"][:10]}
    return [_text(to_plain(body["notice"]["text"]), 10_000), *_facts(facts)]


def _incident(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    incident = body["incident"]
    parts = [{**_text(news, MAX_LINE), "weight": "bolder"}] if (news := words.news(body)) else []
    if reason := words.reason(body):
        parts.append(_text(reason, MAX_LINE))
    if lines := words.checks(body):
        parts.append(_text("\n".join([words.together(body), *lines]), MAX_TEXT))
    likely, command = words.cause(body)
    if body["event"] in words.FULL or body["event"] == "updated":
        parts += [_text(f"Likely cause: {likely}", MAX_LINE)] if likely else []
        parts += [{**_text(command, MAX_LINE), "fontType": "monospace"}] if command else []
        parts += _facts({words.measured(value): words.reading(value) for value in body["values"][:10]})
        for piece in [e for e in body["evidence"] if e["text"].strip()][:2]:
            parts += [_text(piece["title"] or "Evidence", 200)]
            parts += [{**_text(piece["text"].strip(), MAX_LINE), "fontType": "monospace"}]
    facts = {
        "System": words.system_title(body),
        "Severity": incident["severity"],
        "Check": body["check"]["id"],
        "Since": incident["opened_at"],
        "Lasted": words.lasted(incident),
        "Acknowledged by": incident["acknowledged_by"],
        "Incident": incident["id"],
    }
    return parts + _facts(facts)


def _facts(facts: Mapping[str, str]) -> list[dict[str, Any]]:
    shown = [{"title": _escaped(name, 200), "value": _escaped(value, 500)} for name, value in facts.items() if value]
    return [{"type": "FactSet", "facts": shown}] if shown else []


def _text(text: str, limit: int = MAX_LINE) -> dict[str, Any]:
    return {"type": "TextBlock", "wrap": True, "text": _escaped(text, limit) or " "}


def _escaped(text: str, limit: int) -> str:
    """Plain text where cards understand some Markdown; a line feed is a paragraph."""
    text = text.strip()
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return re.sub(r"([\\\\`*_\[\]<>])", r"\\\1", text).replace("\n", "\n\n")
