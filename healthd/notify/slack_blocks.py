"""A message body as a Slack message: the text for notifications and old clients, the blocks for everyone else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from healthd.notify import words
from healthd.notify.markdown import to_slack
from healthd.notify.slack_text import (
    MAX_BLOCKS,
    Block,
    code,
    context,
    escape,
    header,
    link,
    mrkdwn,
    section,
    width,
)
from healthd.notify.words import LEVEL_SIGNS

__all__ = ["ACKNOWLEDGE", "SILENCE", "escape", "parent", "render", "reply", "width"]

ACKNOWLEDGE, SILENCE = "healthd_acknowledge", "healthd_silence"  # what the buttons ask for

MAX_FIELDS = 10
MAX_FALLBACK = 1000
MAX_REASON = 1500
MAX_EVIDENCE = 1500  # characters of each piece shown
PIECES = 3  # of evidence
STEPS = 3  # of a playbook
NAMES = 10  # of suppressed checks
RESULTS = 12  # of a diagnosis
NOTICE_SECTIONS = 4  # of 3000 characters: a longer notice is cut, and its link leads to the rest


def render(body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole payload of a message that stands alone."""
    if words.custom_text(body):
        return _custom(body)
    if words.is_notice(body):
        return _notice(body)
    blocks = [_title(body, f"{words.sign(body)} {words.status(body)}: {body['incident']['title']}")]
    if news := words.news(body):
        blocks.append(section(f"*{escape(news, MAX_REASON)}*"))
    blocks.append(section(escape(words.reason(body) or "No reason given.", MAX_REASON)))
    blocks += _members(body)
    if body["event"] in words.FULL:
        blocks += _cause(body)
    if body["event"] not in ("updated", "acknowledged"):
        blocks += _values(body["values"])
    if (body.get("update") or {}).get("kind") == "diagnosed":
        blocks += _cause(body) + _results(body["diagnosis"])
    blocks.append(_facts(body))
    if body["event"] in words.FULL:
        blocks += _evidence(body["evidence"]) + _playbook(body)
    blocks += _suppressed(body["suppressed"]) + _links(body)
    return {"text": _fallback(body), "blocks": blocks[:MAX_BLOCKS]}


def parent(body: Mapping[str, Any], *, buttons: bool, note: str = "") -> dict[str, Any]:
    """The incident's own message, which is edited: how it stands now, whatever has just happened."""
    incident = body["incident"]
    if words.custom_text(body):
        payload = _custom(body)
    else:
        payload = render({**body, "event": _standing(body), "update": None})
        if incident["acknowledged_by"] and not incident["resolved_at"]:
            payload["blocks"] += _cause(body) + _values(body["values"])
    blocks = payload["blocks"][: MAX_BLOCKS - 3]
    if note:
        blocks.append(context(escape(note)))
    blocks.append(context(f"as of {_date(body['at'])}"))
    if buttons and not incident["resolved_at"]:
        blocks.append(_actions(incident))
    return {"text": payload["text"], "blocks": blocks}


def _standing(body: Mapping[str, Any]) -> str:
    """The event that says how an incident stands."""
    incident = body["incident"]
    if incident["resolved_at"]:
        return "resolved"
    if incident["acknowledged_by"]:
        return "acknowledged"
    return str(body["event"]) if body["event"] in words.FULL else "firing"


def _actions(incident: Mapping[str, Any]) -> Block:
    def button(action: str, text: str, **more: Any) -> dict[str, Any]:
        label = {"type": "plain_text", "text": text}
        return {"type": "button", "action_id": action, "text": label, "value": incident["id"], **more}

    confirm = {
        "title": {"type": "plain_text", "text": "Silence for an hour?"},
        "text": {"type": "plain_text", "text": "Nobody is told of this check until then. It goes on being looked at."},
        "confirm": {"type": "plain_text", "text": "Silence"},
        "deny": {"type": "plain_text", "text": "Cancel"},
    }
    taken = [] if incident["acknowledged_by"] else [button(ACKNOWLEDGE, "Acknowledge", style="primary")]
    return {"type": "actions", "elements": [*taken, button(SILENCE, "Silence for 1 hour", confirm=confirm)]}


def reply(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is new, as a reply in the thread of the incident's own message."""
    if words.custom_text(body) or words.is_notice(body):
        return render(body)
    line = f"{words.sign(body)} *{escape(words.status(body), 200)}*"
    if news := words.news(body):
        line += f": {escape(news, MAX_REASON)}"
    elif body["event"] != "acknowledged":
        line += f": {escape(words.reason(body), MAX_REASON)}"
    if over := words.lasted(body["incident"]):
        line += f" (lasted {over})"
    blocks = [section(line)]
    if body["event"] in ("firing", "worsened", "reopened", "escalated"):
        blocks += _cause(body) + _values(body["values"])
    if (body.get("update") or {}).get("kind") in ("joined", "recovered", "storm"):
        blocks += _members(body)
    if (body.get("update") or {}).get("kind") == "diagnosed":
        blocks += _cause(body) + _results(body["diagnosis"])
    return {"text": _fallback(body), "blocks": blocks[:MAX_BLOCKS]}


def _fallback(body: Mapping[str, Any]) -> str:
    if words.is_notice(body):
        return escape(words.headline(body), MAX_FALLBACK)
    return escape(f"{words.headline(body)}: {words.news(body) or words.reason(body)}", MAX_FALLBACK)


def _custom(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a template made of it."""
    title = words.headline(body) or "healthd"
    sections = to_slack(words.custom_text(body))[:NOTICE_SECTIONS]
    blocks = [header(title), *(section(text) for text in sections), *_links(body)]
    return {"text": escape(title, MAX_FALLBACK), "blocks": blocks}


def _title(body: Mapping[str, Any], own: str) -> Block:
    """A template's title, or else our own."""
    return header(words.headline(body) if body.get("custom") else own)


def _notice(body: Mapping[str, Any]) -> dict[str, Any]:
    notice = body["notice"]
    blocks = [_title(body, f"{words.sign(body)} {notice['title'] or notice['kind'] or 'Notice'}")]
    sections = to_slack(notice["text"])
    blocks += [section(text) for text in sections[:NOTICE_SECTIONS]]
    rest = notice["text"].endswith("…") or len(sections) > NOTICE_SECTIONS
    fields = [
        mrkdwn(f"*{escape(f['name'], 300)}*\n{escape(f['value'], 1500) or '-'}") for f in notice["fields"][:MAX_FIELDS]
    ]
    if fields:
        blocks.append({"type": "section", "fields": fields})
    facts = [f"*{escape(words.system_title(body), 200)}*", escape(notice["severity"], 100), _date(body["at"])]
    blocks.append(context(*facts))
    title = "The rest of it" if rest else "Open"
    if shown := link(title, notice["url"]):
        blocks.append(context(shown))
    return {"text": _fallback(body), "blocks": blocks}


def _cause(body: Mapping[str, Any]) -> list[Block]:
    """What the diagnosis found, or until then what the playbook supposes, and the first command to try."""
    likely, command = words.cause(body)
    text = f"*Likely cause:* {escape(likely, 800)}" if likely else ""
    if command:
        text += f"\nTry first:\n{code(command, 1200)}"
    return [section(text.strip())] if text else []


def _members(body: Mapping[str, Any]) -> list[Block]:
    """The checks of an incident that has several."""
    lines = words.checks(body)
    if not lines:
        return []
    shown = "\n".join(escape(line, 240) for line in lines)
    return [section(f"*{escape(words.together(body), 300)}*\n{shown}")]


def _results(diagnosis: Mapping[str, Any] | None) -> list[Block]:
    """What each step of the playbook found."""
    results = (diagnosis or {}).get("results") or []
    lines = [
        f"{LEVEL_SIGNS.get(r['level'], '⚪')} {escape(r['title'], 150)}: {escape(r['error'] or r['text'] or '-', 300)}"
        for r in results[:RESULTS]
    ]
    blocks, text = [], ""
    for line in lines:
        if width(text) + width(line) + 1 > 2900:
            blocks.append(section(text))
            text = ""
        text += ("\n" if text else "") + line
    return [*blocks, section(text)] if text else blocks


def _values(values: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not values:
        return []
    blocks: list[Block] = [{"type": "section", "fields": [_field(value) for value in values[:MAX_FIELDS]]}]
    if len(values) > MAX_FIELDS:
        blocks.append(context(f"and {len(values) - MAX_FIELDS} more values"))
    return blocks


def _field(value: Mapping[str, Any]) -> dict[str, Any]:
    name = escape(value["measure"], 200) + (f" {escape(value['series'], 300)}" if value["series"] else "")
    lines = [f"*{name}*", f"{LEVEL_SIGNS.get(value['level'], '⚪')} {escape(value['text'], 300)}"]
    if value["limit"]:
        lines.append(f"limit: {escape(value['limit'], 300)}")
    good = [f"{word}: {escape(value[word], 200)}" for word in ("target", "acceptable") if value[word]]
    bad = [f"{word}: {escape(value[word], 200)}" for word in ("warning", "critical") if value[word]]
    lines += good if value["limit"] else good + bad
    return mrkdwn("\n".join(lines))


def _facts(body: Mapping[str, Any]) -> Block:
    incident, check = body["incident"], body["check"]
    system = words.system_title(body)
    facts = [f"*{escape(system, 200)}*", escape(incident["severity"], 100), escape(check["id"], 300), _since(incident)]
    if incident["acknowledged_by"]:
        facts.append(f"acknowledged by {escape(incident['acknowledged_by'], 100)}")
    return context(*facts, escape(incident["id"], 100))


def _since(incident: Mapping[str, Any]) -> str:
    """When it began, and how long it took if it is over."""
    since = f"since {_date(incident['opened_at'])}"
    return f"{since}, lasted {words.lasted(incident)}" if incident["resolved_at"] else since


def _date(moment: str) -> str:
    """A time in the reader's own time zone."""
    at = datetime.fromisoformat(moment)
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{at:%Y-%m-%d %H:%M} UTC>"


def _evidence(evidence: Sequence[Mapping[str, str]]) -> list[Block]:
    shown = [e for e in evidence if e["text"].strip()][:PIECES]
    return [section(f"*{escape(e['title'] or 'Evidence', 200)}*\n{code(e['text'], MAX_EVIDENCE)}") for e in shown]


def _playbook(body: Mapping[str, Any]) -> list[Block]:
    playbook, shown = body["playbook"], words.cause(body)[0]
    if playbook is None:
        return []
    title = f"*Playbook: {escape(playbook['title'] or playbook['name'], 200)}* (suggested, not executed)"
    if playbook["likely_cause"] and playbook["likely_cause"] != shown:
        title += f"\nLikely cause: {escape(playbook['likely_cause'], 1000)}"
    steps = [*playbook["diagnostics"][:STEPS], *playbook["remediation"][:STEPS]]
    blocks = [section(title), *(section(_step(step)) for step in steps)]
    rest = len(playbook["diagnostics"]) + len(playbook["remediation"]) - len(steps)
    if rest > 0:
        blocks.append(context(f"and {rest} more steps in the playbook"))
    return blocks


def _step(step: Mapping[str, str]) -> str:
    line = f"• {escape(step['title'] or 'Run', 500)}"
    line += f" _({escape(step['when'], 300)})_" if step["when"] else ""
    return line + (f"\n{code(step['command'], 1500)}" if step["command"].strip() else "")


def _suppressed(check_ids: Sequence[str]) -> list[Block]:
    if not check_ids:
        return []
    names = ", ".join(escape(name, 200) for name in check_ids[:NAMES])
    more = f" and {len(check_ids) - NAMES} more" if len(check_ids) > NAMES else ""
    return [context(f"Kept quiet, because they depend on this: {names}{more}")]


def _links(body: Mapping[str, Any]) -> list[Block]:
    """Plain links rather than buttons: a button's click asks the app behind the message, and there may be none."""
    if words.is_notice(body):
        wanted = [("Open", body["notice"]["url"])]
    else:
        incident, check, playbook = body["incident"], body["check"], body["playbook"]
        wanted = [
            ("Incident", incident["url"]),
            ("Check", check["url"]),
            ("Runbook", check["runbook_url"]),
            ("Playbook", playbook["url"] if playbook else ""),
        ]
    links = [text for title, url in wanted if (text := link(title, url))]
    return [context(" · ".join(links))] if links else []
