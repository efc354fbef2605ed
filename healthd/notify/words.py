"""What all channels say alike: the words for an event, the headline, the sentence on what is new, plain text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from healthd.model.units import format_duration
from healthd.notify.markdown import to_plain

WORDS = {
    "firing": "Firing",
    "worsened": "Worse",
    "improved": "Better, not over",
    "updated": "Update",
    "escalated": "Escalated",
    "acknowledged": "Acknowledged",
    "reopened": "Firing again",
    "resolved": "Resolved",
    "test": "Test",
    "notice": "Notice",
}
SIGNS = {
    "worsened": "🔺",
    "improved": "🔽",
    "updated": "📝",
    "escalated": "📣",
    "acknowledged": "👤",
    "reopened": "🔁",
    "resolved": "✅",
    "test": "🔔",
}
LEVEL_SIGNS = {"critical": "🔴", "warning": "🟠", "unknown": "⚪", "ok": "🟢"}
NOTICE_SIGNS = {"report": "📋", "attestation": "✍️", "window": "🔧", "silence": "🔇", "postmortem": "📄"}
_WITHOUT_LEVEL = frozenset({"resolved", "test", "acknowledged"})
# Told in full: whoever hears of these may hear of the incident for the first time.
FULL = frozenset({"firing", "worsened", "reopened", "escalated", "improved"})


def is_notice(body: Mapping[str, Any]) -> bool:
    """Whether this is told of no incident."""
    return "notice" in body


def status(body: Mapping[str, Any]) -> str:
    """Such as "Firing (CRITICAL)"."""
    word = WORDS.get(body["event"], str(body["event"]))
    return word if body["event"] in _WITHOUT_LEVEL else f"{word} ({body['incident']['level'].upper()})"


def sign(body: Mapping[str, Any]) -> str:
    """One character that says what kind of message this is."""
    if is_notice(body):
        return NOTICE_SIGNS.get(body["notice"]["kind"], "🔔")
    return SIGNS.get(body["event"]) or LEVEL_SIGNS.get(body["incident"]["level"], "⚪")


def system_title(body: Mapping[str, Any]) -> str:
    """For people."""
    return str(body["system"]["title"] or body["system"]["name"])


def headline(body: Mapping[str, Any]) -> str:
    """One line: what happened, where. A template's title comes first."""
    if custom := body.get("custom"):
        return " ".join(str(custom["title"]).split())
    if is_notice(body):
        return " ".join(f"{system_title(body)}: {body['notice']['title']}".split())
    return " ".join(f"{status(body)}: {system_title(body)}: {body['incident']['title']}".split())


def custom_text(body: Mapping[str, Any]) -> str:
    """The Markdown that a template made, "" where the text is the channel's own."""
    return str((body.get("custom") or {}).get("text", "")).strip()


def news(body: Mapping[str, Any]) -> str:
    """The sentence on what is new, "" where the event says it all."""
    update = body.get("update") or {}
    if text := str(update.get("text", "")).strip():
        return text
    if body["event"] == "acknowledged" and body["incident"]["acknowledged_by"]:
        return f"acknowledged by {body['incident']['acknowledged_by']}"
    return ""


def reason(body: Mapping[str, Any]) -> str:
    """Why it fires; of what is over, why it did."""
    text = str(body["incident"]["reason"]).strip()
    over = body["incident"]["resolved_at"] and not body["incident"].get("merged_into")
    return f"it was: {text}" if text and over else text


def lasted(incident: Mapping[str, Any]) -> str:
    """How long it took, "" while it is open."""
    if not incident["resolved_at"]:
        return ""
    took = datetime.fromisoformat(incident["resolved_at"]) - datetime.fromisoformat(incident["opened_at"])
    return format_duration(max(0.0, took.total_seconds()))


def cause(body: Mapping[str, Any]) -> tuple[str, str]:
    """The likely cause and the first command to try, each "" where there is none."""
    likely = next((line["text"] for line in body.get("lead") or () if line["name"] == "Likely cause"), "")
    return str(likely), str((body.get("first_step") or {}).get("command", ""))


def together(body: Mapping[str, Any]) -> str:
    """How many checks fail where an incident has several, and of which systems; "" for one check."""
    members = body.get("members")
    if not members or members["total"] < 2:
        return ""
    text = f"{members['failing']} of {members['total']} checks fail"
    if len(members["systems"]) > 1:
        text += ": " + ", ".join(f"{s['title'] or s['name']} {s['failing']}" for s in members["systems"])
    return text


def checks(body: Mapping[str, Any]) -> list[str]:
    """A line for each check of an incident that has several, the worst first, and how many are not listed."""
    members = body.get("members")
    if not members or members["total"] < 2:
        return []
    lines = [
        f"{'✅' if check['recovered'] else LEVEL_SIGNS.get(check['level'], '⚪')} {check['id']}"
        + (f": {check['reason']}" if check["reason"] else "")
        for check in members["checks"]
    ]
    return lines + ([f"and {members['more']} more"] if members["more"] else [])


def reading(value: Mapping[str, Any]) -> str:
    """One line: "95% (critical: >= 90%; target: < 80%)"."""
    limits = [f"{value['level']}: {value['limit']}"] if value["limit"] else []
    limits += [f"target: {value['target']}"] if value["target"] else []
    return f"{value['text']} ({'; '.join(limits)})" if limits else str(value["text"])


def measured(value: Mapping[str, Any]) -> str:
    """A measure's name, with its series."""
    return f"{value['measure']} {value['series']}".strip()


def links(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(text, address) of those that a browser can open."""
    if is_notice(body):
        wanted = [("Open", body["notice"]["url"])]
    else:
        playbook = body["playbook"]
        wanted = [
            ("Incident", body["incident"]["url"]),
            ("Check", body["check"]["url"]),
            ("Runbook", body["check"]["runbook_url"]),
            ("Playbook", playbook["url"] if playbook else ""),
        ]
    return [(text, url) for text, url in wanted if url.startswith(("http://", "https://"))]


def plain(body: Mapping[str, Any]) -> str:
    """The message as plain text, without its headline: what a person needs first comes first."""
    if text := custom_text(body):
        return to_plain(text)
    return _plain_notice(body) if is_notice(body) else _plain_incident(body)


def _plain_notice(body: Mapping[str, Any]) -> str:
    notice = body["notice"]
    lines = [to_plain(notice["text"]), ""]
    lines += [f"{field['name']}: {field['value']}" for field in notice["fields"]]
    lines += [f"{text}: {url}" for text, url in links(body)]
    return "\n".join(lines).strip()


def _plain_incident(body: Mapping[str, Any]) -> str:
    incident = body["incident"]
    opened = f"{datetime.fromisoformat(incident['opened_at']):%Y-%m-%d %H:%M} UTC"
    over = lasted(incident)
    lines = [line for line in (news(body), reason(body), together(body)) if line]
    lines += [f"Since {opened}" + (f", lasted {over}" if over else "")]
    if incident["acknowledged_by"] and body["event"] != "acknowledged":
        lines.append(f"Acknowledged by {incident['acknowledged_by']}")
    if body["event"] in FULL or body["event"] == "updated":
        lines += _plain_details(body)
    lines += ["", f"{system_title(body)} · {incident['severity']} · {body['check']['id']} · {incident['id']}"]
    lines += [f"{text}: {url}" for text, url in links(body)]
    return "\n".join(lines).strip()


def _plain_details(body: Mapping[str, Any]) -> list[str]:
    likely, command = cause(body)
    lines = [f"Likely cause: {likely}"] if likely else []
    lines += [f"Try first: {command}"] if command else []
    lines += ["", *checks(body)] if checks(body) else []
    lines += ["", *(f"{measured(value)}: {reading(value)}" for value in body["values"][:10])]
    for evidence in [e for e in body["evidence"] if e["text"].strip()][:3]:
        lines += ["", f"{evidence['title'] or 'Evidence'}:", evidence["text"].strip()]
    if playbook := body["playbook"]:
        lines += ["", f"Playbook: {playbook['title'] or playbook['name']} (suggested, not executed)"]
        steps = [*playbook["diagnostics"], *playbook["remediation"]]
        lines += [f"- {': '.join(p for p in (s['when'], s['title'], s['command']) if p)}" for s in steps[:10]]
    return lines
