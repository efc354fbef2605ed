"""A message body as a Slack message: Block Kit blocks within Slack's limits.

Limits (https://docs.slack.dev/reference/block-kit/blocks): 50 blocks; a header 150 characters; a section's text
3000, its fields 10 of 2000 each; a context block 10 elements. Lengths are counted in UTF-16 units, the strictest
reading, after escaping. Everything that comes from outside is escaped, so nothing in it can mention or link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from healthd.model.units import format_duration

Block = dict[str, Any]

MAX_HEADER = 150
MAX_TEXT = 3000
MAX_FIELD = 2000
MAX_FIELDS = 10
MAX_FALLBACK = 1000
MAX_REASON = 1500
MAX_EVIDENCE = 1500  # characters of each piece shown
PIECES = 3  # of evidence
STEPS = 3  # of a playbook
NAMES = 10  # of suppressed checks
MAX_LINK = 2000

_WORDS = {
    "firing": "Firing",
    "worsened": "Worse",
    "improved": "Better, not over",
    "resolved": "Resolved",
    "test": "Test",
}
_SIGNS = {"worsened": "🔺", "improved": "🔽", "resolved": "✅", "test": "🔔"}
_LEVEL_SIGNS = {"critical": "🔴", "warning": "🟠", "unknown": "⚪", "ok": "🟢"}
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render(body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole payload: `text` for notifications and old clients, `blocks` for everyone else."""
    incident = body["incident"]
    blocks = [_header(body), _section(escape(incident["reason"].strip() or "No reason given.", MAX_REASON))]
    blocks += _values(body["values"])
    blocks.append(_facts(body))
    if body["event"] not in ("resolved", "test"):
        blocks += _evidence(body["evidence"]) + _playbook(body["playbook"])
    blocks += _suppressed(body["suppressed"]) + _links(body)
    status = _status(body)
    fallback = (
        f"{status}: {body['system']['title'] or body['system']['name']}: {incident['title']}: {incident['reason']}"
    )
    return {"text": escape(fallback, MAX_FALLBACK), "blocks": blocks}


def escape(text: str, limit: int = MAX_TEXT) -> str:
    """`text` with Slack's three special characters escaped, cut to `limit` without cutting an escape in two."""
    pieces: list[str] = []
    length = 0
    for character in text:
        piece = _ESCAPES.get(character, character)
        length += width(piece)
        pieces.append(piece)
        if length > limit:
            break
    else:
        return "".join(pieces)
    while length > limit - 1:
        length -= width(pieces.pop())
    return "".join(pieces) + "…"


def width(text: str) -> int:
    """Length in UTF-16 units: an emoji counts two."""
    return len(text) + sum(character > "\uffff" for character in text)


def _cut(text: str, limit: int) -> str:
    """As escape, for plain text, in which nothing is special."""
    if width(text) <= limit:
        return text
    while width(text) > limit - 1:
        text = text[: len(text) - max(1, (width(text) - limit) // 2)]
    return text + "…"


def _status(body: Mapping[str, Any]) -> str:
    word = _WORDS.get(body["event"], body["event"])
    told = body["event"] in ("resolved", "test")
    return word if told else f"{word} ({body['incident']['level'].upper()})"


def _header(body: Mapping[str, Any]) -> Block:
    sign = _SIGNS.get(body["event"]) or _LEVEL_SIGNS.get(body["incident"]["level"], "⚪")
    line = " ".join(f"{sign} {_status(body)}: {body['incident']['title']}".split())
    return {"type": "header", "text": {"type": "plain_text", "text": _cut(line, MAX_HEADER), "emoji": True}}


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: Slack shall not make links, channels or mentions out of plain words
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def _context(*texts: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text) for text in texts if text.strip()]}


def _values(values: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not values:
        return []
    blocks: list[Block] = [{"type": "section", "fields": [_field(value) for value in values[:MAX_FIELDS]]}]
    if len(values) > MAX_FIELDS:
        blocks.append(_context(f"and {len(values) - MAX_FIELDS} more values"))
    return blocks


def _field(value: Mapping[str, Any]) -> dict[str, Any]:
    name = escape(value["measure"], 200) + (f" {escape(value['series'], 300)}" if value["series"] else "")
    lines = [f"*{name}*", f"{_LEVEL_SIGNS.get(value['level'], '⚪')} {escape(value['text'], 300)}"]
    if value["limit"]:
        lines.append(f"limit: {escape(value['limit'], 300)}")
    good = [f"{word}: {escape(value[word], 200)}" for word in ("target", "acceptable") if value[word]]
    bad = [f"{word}: {escape(value[word], 200)}" for word in ("warning", "critical") if value[word]]
    lines += good if value["limit"] else good + bad
    return _mrkdwn("\n".join(lines))


def _facts(body: Mapping[str, Any]) -> Block:
    incident, check = body["incident"], body["check"]
    system = body["system"]["title"] or body["system"]["name"]
    facts = [f"*{escape(system, 200)}*", escape(incident["severity"], 100), escape(check["id"], 300), _since(incident)]
    if incident["acknowledged_by"]:
        facts.append(f"acknowledged by {escape(incident['acknowledged_by'], 100)}")
    return _context(*facts, escape(incident["id"], 100))


def _since(incident: Mapping[str, Any]) -> str:
    """When it began, in the reader's own time zone, and how long it took if it is over."""
    opened = datetime.fromisoformat(incident["opened_at"])
    since = f"since <!date^{int(opened.timestamp())}^{{date_short_pretty}} {{time}}|{opened:%Y-%m-%d %H:%M} UTC>"
    if not incident["resolved_at"]:
        return since
    lasted = datetime.fromisoformat(incident["resolved_at"]) - opened
    return f"{since}, lasted {format_duration(max(0.0, lasted.total_seconds()))}"


def _code(text: str, limit: int) -> str:
    # three backticks would end the block early: kept apart by characters without width
    text = text.strip().replace("```", "`\u200b`\u200b`")
    return f"```\n{escape(text, limit)}\n```"


def _evidence(evidence: Sequence[Mapping[str, str]]) -> list[Block]:
    shown = [e for e in evidence if e["text"].strip()][:PIECES]
    return [_section(f"*{escape(e['title'] or 'Evidence', 200)}*\n{_code(e['text'], MAX_EVIDENCE)}") for e in shown]


def _playbook(playbook: Mapping[str, Any] | None) -> list[Block]:
    if playbook is None:
        return []
    title = f"*Playbook: {escape(playbook['title'] or playbook['name'], 200)}* (suggested, not executed)"
    if playbook["likely_cause"]:
        title += f"\nLikely cause: {escape(playbook['likely_cause'], 1000)}"
    steps = [*playbook["diagnostics"][:STEPS], *playbook["remediation"][:STEPS]]
    blocks = [_section(title), *(_section(_step(step)) for step in steps)]
    rest = len(playbook["diagnostics"]) + len(playbook["remediation"]) - len(steps)
    if rest > 0:
        blocks.append(_context(f"and {rest} more steps in the playbook"))
    return blocks


def _step(step: Mapping[str, str]) -> str:
    line = f"• {escape(step['title'] or 'Run', 500)}"
    line += f" _({escape(step['when'], 300)})_" if step["when"] else ""
    return line + (f"\n{_code(step['command'], 1500)}" if step["command"].strip() else "")


def _suppressed(check_ids: Sequence[str]) -> list[Block]:
    if not check_ids:
        return []
    names = ", ".join(escape(name, 200) for name in check_ids[:NAMES])
    more = f" and {len(check_ids) - NAMES} more" if len(check_ids) > NAMES else ""
    return [_context(f"Kept quiet, because they depend on this: {names}{more}")]


def _links(body: Mapping[str, Any]) -> list[Block]:
    """Plain links rather than buttons: a button's click asks the app behind the webhook, and there is none."""
    incident, check, playbook = body["incident"], body["check"], body["playbook"]
    wanted = [
        ("Incident", incident["url"]),
        ("Check", check["url"]),
        ("Runbook", check["runbook_url"]),
        ("Playbook", playbook["url"] if playbook else ""),
    ]
    links = [text for title, url in wanted if (text := _link(title, url))]
    return [_context(" · ".join(links))] if links else []


def _link(title: str, url: str) -> str:
    """A link where the address is one for a browser, otherwise its text (a runbook may be a file's path)."""
    if not url or width(url) > MAX_LINK // 5:
        return ""
    if not url.startswith(("http://", "https://")):
        return f"{title}: {escape(url, MAX_LINK)}"
    safe = url.replace("|", "%7C").replace(" ", "%20").replace("<", "%3C").replace(">", "%3E").replace("&", "&amp;")
    return f"<{safe}|{title}>"
